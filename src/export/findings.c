/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What validate has found, as a table or as JSON. */

#include "config.h"

#include "base/assert.h"
#include "base/json-text.h"
#include "base/tidy-fds.h"
#include "export/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct finding *findings_add(struct findings *f, enum finding_kind kind,
                             const char *name, bool is_good, const char *fmt,
                             ...)
{
    struct finding *finding = &f->list[f->count];
    va_list args;

    ASSERT(f->count < FINDINGS_MOST);
    f->count++;
    *finding = (struct finding){
        .kind = kind,
        .name = name,
        .is_good = is_good,
        .file_offset = UINT64_MAX,
    };
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof finding->text, fmt, args);
    va_end(args);
    return finding;
}

static bool is_valid(const struct findings *f)
{
    struct error ignored;

    return findings_judge(f, &ignored) == 0;
}

static const char *verdict(const struct finding *finding)
{
    if (finding->kind == FINDING_CHECK)
        return finding->is_good ? "good" : "BAD";
    return finding->is_good ? "takes it" : "refuses";
}

static void print_table(const struct findings *f)
{
    printf("disk   %" PRIu64 " bytes\nimage  %" PRIu64 " bytes", f->disk_size,
           f->image_length);
    if (f->layout != NULL)
        printf(", layout %s", f->layout);
    putchar('\n');
    for (int i = 0; i < f->count; i++) {
        const struct finding *finding = &f->list[i];

        if (i == 0 || finding->kind != finding[-1].kind)
            printf("\n%s\n",
                   finding->kind == FINDING_CHECK ? "checks" : "readers");
        printf("  %-17s %-9s %s\n", finding->name, verdict(finding),
               finding->text);
    }
    printf("\n%s\n", is_valid(f) ? "valid" : "NOT VALID");
}

static void print_finding(const struct finding *finding)
{
    fputs("\n        {\"name\": ", stdout);
    json_put_string(stdout, finding->name);
    printf(", \"%s\": %s,\n         \"text\": ",
           finding->kind == FINDING_CHECK ? "good" : "takes",
           finding->is_good ? "true" : "false");
    json_put_string(stdout, finding->text);
    if (finding->file_offset == UINT64_MAX) {
        fputs(",\n         \"file-offset\": null, \"place\": null}", stdout);
        return;
    }
    printf(",\n         \"file-offset\": %" PRIu64 ", \"place\": ",
           finding->file_offset);
    json_put_string(stdout, finding->place);
    putchar('}');
}

static void print_list(const struct findings *f, const char *name,
                       enum finding_kind kind)
{
    bool is_first = true;

    printf(",\n    \"%s\": [", name);
    for (int i = 0; i < f->count; i++) {
        if (f->list[i].kind != kind)
            continue;
        if (!is_first)
            putchar(',');
        is_first = false;
        print_finding(&f->list[i]);
    }
    fputs(is_first ? "]" : "\n    ]", stdout);
}

static void print_json(const struct findings *f)
{
    printf("{\n    \"validate\": 1,\n    \"subject\": \"%s\"", f->subject);
    if (f->layout == NULL)
        fputs(",\n    \"layout\": null", stdout);
    else
        printf(",\n    \"layout\": \"%s\"", f->layout);
    printf(",\n    \"valid\": %s,\n    \"virtual-size\": %" PRIu64
           ",\n    \"length\": %" PRIu64,
           is_valid(f) ? "true" : "false", f->disk_size, f->image_length);
    print_list(f, "checks", FINDING_CHECK);
    print_list(f, "readers", FINDING_READER);
    puts("\n}");
}

int findings_print(const struct findings *f, bool is_json, struct error *err)
{
    if (is_json)
        print_json(f);
    else
        print_table(f);
    return fflush(stdout) == EOF ? tidy_fds_stdout_failed(err) : 0;
}

int findings_judge(const struct findings *f, struct error *err)
{
    for (int i = 0; i < f->count; i++)
        if (f->list[i].kind == FINDING_CHECK && !f->list[i].is_good)
            return error_set(err, 0, "%s: %s", f->list[i].name,
                             f->list[i].text);
    return 0;
}
