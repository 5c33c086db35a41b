/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what the programs that this one stands in for do without being told:
 * by the environment, by where their output goes.
 */

#include "config.h"

#include "dropin-call.h"

static void test_environment(void)
{
    static const char *const in[MAX_ARGS] = {"stream_decode", "/dev/a"};
    static const char *const out[MAX_ARGS] = {"/dev/a"};
    static const char *const help[MAX_ARGS] = {"--help"};
    struct options CLEANUP(options) o;
    struct error err;

    TEST("the environment says where QEMU and the spool are");
    setenv("QCOW_TOOL_QEMU_IMG", "/b/img", 1);
    setenv("QCOW_TOOL_QEMU_NBD", "/b/nbd", 1);
    setenv("TMPDIR", "/b", 1);
    CHECK_OK(parse_dropin(DROPIN_STREAM_TOOL, in, &o, &err), &err);
    CHECK_STR(describe_rest(&o), "serve destination=/dev/a prezeroed spool=/b "
                                 "qemu-img=/b/img qemu-nbd=/b/nbd");
    options_clear(&o);
    CHECK_OK(parse_dropin(DROPIN_TO_STDOUT, out, &o, &err), &err);
    CHECK_STR(describe_rest(&o),
              "stream source=/dev/a spool=/b qemu-img=/b/img "
              "qemu-nbd=/b/nbd");

    TEST("the spool has variables of its own");
    setenv("QCOW_TOOL_SPOOL_DIR", "/c", 1);
    setenv("QCOW_TOOL_SPOOL_LIMIT", "2G", 1);
    options_clear(&o);
    CHECK_OK(parse_dropin(DROPIN_STREAM_TOOL, in, &o, &err), &err);
    CHECK_STR(o.serve.spool_dir, "/c");
    CHECK_INT(o.serve.spool_limit, UINT64_C(2) << 30);
    options_clear(&o);
    CHECK_OK(parse_dropin(DROPIN_TO_STDOUT, out, &o, &err), &err);
    CHECK_STR(o.stream.export.spool_dir, "/c");
    CHECK_INT(o.stream.export.spool_limit, UINT64_C(2) << 30);

    TEST("there may be no limit at all");
    setenv("QCOW_TOOL_SPOOL_LIMIT", "0", 1);
    options_clear(&o);
    CHECK_OK(parse_dropin(DROPIN_STREAM_TOOL, in, &o, &err), &err);
    CHECK_INT(o.serve.spool_limit, 0);

    TEST("a limit that is none is refused");
    setenv("QCOW_TOOL_SPOOL_LIMIT", "much", 1);
    CHECK_FAILS(parse_dropin(DROPIN_STREAM_TOOL, in, &o, &err), &err,
                "QCOW_TOOL_SPOOL_LIMIT: 'much' is not a size");

    TEST("help is there with any limit");
    options_clear(&o);
    CHECK_OK(parse_dropin(DROPIN_STREAM_TOOL, help, &o, &err), &err);
    CHECK_INT(o.wants_help, true);
}

static void test_usual(void)
{
    static const char *const out[MAX_ARGS] = {"/dev/a"};
    static const char *const sixteen[MAX_ARGS] = {"/dev/a", "-r", "16"};
    struct options CLEANUP(options) o;
    struct options CLEANUP(options) p;
    struct error err;

    TEST("refcounts are as wide as xapi's importer takes them");
    CHECK_OK(parse_dropin(DROPIN_TO_STDOUT, out, &o, &err), &err);
    CHECK_INT(o.stream.export.qcow2.refcount_bits, QCOW2_REFCOUNT_AUTO);
    CHECK_OK(parse_dropin(DROPIN_TO_STDOUT, sixteen, &p, &err), &err);
    CHECK_INT(p.stream.export.qcow2.refcount_bits, 16);
    TEST("the spool takes half of what is free at most");
    CHECK_INT(o.stream.export.spool_limit, STORE_HALF_FREE);
    CHECK_INT(o.serve.spool_limit, STORE_HALF_FREE);
}

static void test_claims(void)
{
    static const char *const in[MAX_ARGS] = {"stream_decode", "/dev/a"};
    struct options CLEANUP(options) o;
    struct error err;

    TEST("of a disk that is merely held exclusively they only warn");
    CHECK_OK(parse_dropin(DROPIN_STREAM_TOOL, in, &o, &err), &err);
    CHECK_INT(o.serve.destination.claim, CLAIM_WARN);
    TEST("after ten minutes without a move they fail, and QEMU is caged");
    CHECK_INT(o.stall_seconds, 600);
    CHECK_INT(o.serve.qemu.sandbox, CAGE_AUTO);
}

/* Whose progress is read from standard output? */
static void test_progress(void)
{
    static const char *const in[MAX_ARGS] = {"stream_decode", "/dev/a"};
    static const char *const old[MAX_ARGS] = {"/dev/a"};
    static const char *const out[MAX_ARGS] = {"/dev/a", "--output", UUID};
    static const char *const to_stdout[MAX_ARGS] = {"/dev/a", "--output", "1"};
    const struct {
        const char *name;
        enum dropin dropin;
        const char *const *args;
        int to, log; /* 0: /dev/null, 1: a pipe, 2: another */
        enum progress_mode progress;
    } cases[] = {
        {"an import tells a pipe", DROPIN_STREAM_TOOL, in, 1, 0,
         PROGRESS_MACHINE},
        {"an old one, too", DROPIN_STREAM_TOOL, old, 1, 2, PROGRESS_MACHINE},
        {"an import whose output is not read says nothing", DROPIN_STREAM_TOOL,
         in, 0, 1, PROGRESS_NONE},
        {"nor into its log", DROPIN_STREAM_TOOL, in, 1, 1, PROGRESS_NONE},
        {"an export with an output tells whatever there is", DROPIN_TO_STDOUT,
         out, 0, 1, PROGRESS_MACHINE},
        {"but not its log", DROPIN_TO_STDOUT, out, 1, 1, PROGRESS_NONE},
        {"and not where the data goes", DROPIN_TO_STDOUT, to_stdout, 1, 2,
         PROGRESS_NONE},
        {"an export to standard output says nothing", DROPIN_TO_STDOUT, old, 1,
         2, PROGRESS_NONE},
    };
    int fds[3], ends[2];

    fds[0] = open("/dev/null", O_WRONLY);
    for (int i = 1; i < 3; i++) {
        test_require(pipe(ends) == 0, "pipe");
        fds[i] = ends[1];
        close(ends[0]);
    }
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct options CLEANUP(options) o;
        struct error err;

        TEST(cases[i].name);
        parse_stdout = dup(fds[cases[i].to]);
        parse_stderr = dup(fds[cases[i].log]);
        CHECK_OK(parse_dropin(cases[i].dropin, cases[i].args, &o, &err), &err);
        CHECK_INT(cases[i].dropin == DROPIN_TO_STDOUT ? o.stream.progress
                                                      : o.serve.progress,
                  cases[i].progress);
        close(parse_stdout);
        close(parse_stderr);
        parse_stdout = parse_stderr = -1;
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

int main(void)
{
    test_begin();
    prepare_surroundings();
    prepare_output();
    test_progress();
    prepare_output();
    test_claims();
    test_usual();
    test_environment();
    return test_end();
}
