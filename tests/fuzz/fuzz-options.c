/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes command lines: of qcow-tool, and of the programs that xapi calls. */

#include "config.h"

#include "cli/dropin.h"
#include "cli/options.h"
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The first byte says which program it is; words end with a newline. */
static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\2stream\n--source\ndisk\n--source-format\nqcow2\n"
              "--destination-fd\n1\n--cluster-size=64K\n--layout\nconvert\n"),
    FUZZ_SEED("\2serve\n--destination\ndisk\n--source-size\n1MiB\n"
              "--prezeroed\n--progress\n--machine\n"),
    FUZZ_SEED("\2measure\n-v\ndisk\n--base\nnbd://host:1/name\n"),
    FUZZ_SEED("\2validate\n--stream\nfile\n--json\n"),
    FUZZ_SEED("\2serve\n--force\nhybrid\n--direct\n--spool-limit\n1.5G\n"),
    FUZZ_SEED("\2stream\ndisk:file:raw\n--source=json:{\"a\":1}\n"
              "--offset=7\n--length\n9\n--stall-timeout=3\n"),
    FUZZ_SEED("\2help\nstream\n"),
    FUZZ_SEED("\0stream_decode\ndisk\n"),
    FUZZ_SEED("\0read_headers\nimage\n"),
    FUZZ_SEED("\1disk\n--diff\nbase\n--json-header-map\n5\n"
              "--json-header-info\n6\n--output\n1\n-c\n65536\n"),
};

enum { MAX_ARGS = 64, MAX_INPUT = 4096 };

/* What an option may look at is the same for each input. */
static void prepare(void)
{
    static const char *const variables[] = {
        "QCOW_TOOL_QEMU_IMG",  "QCOW_TOOL_QEMU_IO",     "QCOW_TOOL_QEMU_NBD",
        "QCOW_TOOL_SPOOL_DIR", "QCOW_TOOL_SPOOL_LIMIT", "LISTEN_PID"};
    static int is_prepared;

    if (is_prepared)
        return;
    is_prepared = 1;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    setenv("LISTEN_FDS", "3", 1);
    setenv("LISTEN_FDNAMES", "a:b:c3a3b1f0-45b5-4c8f-9d2e-1f7d7c6b5a01", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[MAX_ARGS + 2] = {(char *)"qcow-tool"};
    struct options options = {0};
    struct error err = {0};
    char *text, *word, *rest;
    int argc = 1, r;

    if (size == 0 || size > MAX_INPUT)
        return 0;
    prepare();
    text = malloc(size);
    MUST(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    rest = text;
    while (argc <= MAX_ARGS && (word = strsep(&rest, "\n")) != NULL &&
           rest != NULL)
        argv[argc++] = word;
    argv[argc] = NULL;
    if (data[0] % 3 == DROPIN_NONE)
        r = options_parse(argc, argv, &options, &err);
    else
        r = dropin_parse(data[0] % 3, argc, argv, &options, &err);
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err.msg[0] != '\0'));
    options_clear(&options);
    free(text);
    return 0;
}

FUZZ_MAIN(seeds)
