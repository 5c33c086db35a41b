/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What validate has found, as a table or as JSON. */

#ifndef QT_FINDINGS_H
#define QT_FINDINGS_H

#include "base/error.h"
#include "nbd/anatomy.h"

#include <stdbool.h>
#include <stdint.h>

enum finding_kind {
    FINDING_CHECK,  /* the image is not valid unless it is good */
    FINDING_READER, /* a program: does it take the image? */
};

struct finding {
    enum finding_kind kind;
    const char *name; /* not copied */
    bool is_good;
    uint64_t file_offset;     /* what is not good; UINT64_MAX: nowhere */
    char place[ANATOMY_NAME]; /* what lies there (anatomy.h), or empty */
    char text[320];           /* says more */
};

enum { FINDINGS_MOST = 8 };

struct findings {
    const char *subject;   /* "source" or "stream" */
    const char *layout;    /* that was asked for; NULL: none was */
    uint64_t disk_size;    /* bytes */
    uint64_t image_length; /* bytes */
    struct finding list[FINDINGS_MOST];
    int count;
};

/* Adds one, which says fmt (printf(3)).  Returns it. */
struct finding *findings_add(struct findings *findings, enum finding_kind kind,
                             const char *name, bool is_good, const char *fmt,
                             ...) __attribute__((format(printf, 5, 6)));

/* Prints all on standard output. */
int findings_print(const struct findings *findings, bool is_json,
                   struct error *err);

/* Fills err with the first check that is not good, and returns -1; or 0. */
int findings_judge(const struct findings *findings, struct error *err);

#endif
