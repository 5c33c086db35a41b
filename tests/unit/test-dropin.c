/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the calls of the programs that this one stands in for. */

#include "config.h"

#include "dropin-call.h"

#define NO_UUID "52f6a8b1-07c4-4d3e-9a6f-e1c80b9d2473" /* that no fd has */

/* ---------------------------------------------------------------- names */

static const struct {
    const char *name, *argv0;
    enum dropin dropin;
} names[] = {
    {"our own name is none of them", "qcow-tool", DROPIN_NONE},
    {"one is told by its name", "qcow-stream-tool", DROPIN_STREAM_TOOL},
    {"the other is told by its name", "qcow2-to-stdout", DROPIN_TO_STDOUT},
    {"a path does not count", "/usr/libexec/qcow-stream-tool",
     DROPIN_STREAM_TOOL},
    {"a path to here does not count", "./qcow2-to-stdout", DROPIN_TO_STDOUT},
    {"two slashes are as good as one", "/opt//qcow2-to-stdout",
     DROPIN_TO_STDOUT},
    {"a directory's name does not count", "/qcow2-to-stdout/qcow-tool",
     DROPIN_NONE},
    {"a directory is no program", "/opt/qcow2-to-stdout/", DROPIN_NONE},
    {"xapi's name for it has a suffix", "/opt/xensource/qcow2-to-stdout.py",
     DROPIN_TO_STDOUT},
    {"the other has no such name", "qcow-stream-tool.py", DROPIN_NONE},
    {"another suffix makes another", "qcow2-to-stdout.pyc", DROPIN_NONE},
    {"a suffix alone is none of them", ".py", DROPIN_NONE},
    {"a longer name is another", "qcow2-to-stdout2", DROPIN_NONE},
    {"a shorter name is another", "qcow2-to-std", DROPIN_NONE},
    {"a name before it makes another", "lt-qcow-stream-tool", DROPIN_NONE},
    {"a name in capitals is another", "QCOW-STREAM-TOOL", DROPIN_NONE},
    {"no name is none of them", "", DROPIN_NONE},
    {"a missing name is none of them", NULL, DROPIN_NONE},
};

static void test_names(void)
{
    for (size_t i = 0; i < N_ELEMENTS(names); i++) {
        TEST(names[i].name);
        CHECK_INT(dropin_find(names[i].argv0), names[i].dropin);
    }
    TEST("each is found by its own name");
    for (int i = 0; i < DROPIN_NONE; i++)
        CHECK_INT(dropin_find(dropin_name(i)), i);
}

/* ---------------------------------------------------------------- calls */

/* Of fds there are STDIN_FILENO to STDERR_FILENO, and OPEN_FD. */
static const struct {
    const char *name;
    enum dropin dropin;
    const char *args[MAX_ARGS];
    const char *meaning;
} accepted[] = {
    {"an import leaves alone what is not in the image",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "/dev/a"},
     "serve destination=/dev/a prezeroed"},
    {"a device may be named like the command",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "stream_decode"},
     "serve destination=stream_decode prezeroed"},
    {"before xapi 26.0 an import had no command",
     DROPIN_STREAM_TOOL,
     {"/dev/a"},
     "serve destination=/dev/a prezeroed"},
    {"without a command a file that exists is a device",
     DROPIN_STREAM_TOOL,
     {"."},
     "serve destination=. prezeroed"},
    {"an image may be asked what of it is data",
     DROPIN_STREAM_TOOL,
     {"read_headers", "/sr/a.qcow2"},
     "headers image=/sr/a.qcow2"},
    {"an image may be named like a command",
     DROPIN_STREAM_TOOL,
     {"read_headers", "stream_decode"},
     "headers image=stream_decode"},
    {"two dashes end the options of an import",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "--", "-a"},
     "serve destination=-a prezeroed"},
    {"an import has help", DROPIN_STREAM_TOOL, {"--help"}, "none help"},
    {"an import has short help", DROPIN_STREAM_TOOL, {"-h"}, "none help"},
    {"an import has help, whatever is missing",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "--help"},
     "none help"},
    {"an import has a version",
     DROPIN_STREAM_TOOL,
     {"--version"},
     "none version"},

    {"an export needs a device and nothing else",
     DROPIN_TO_STDOUT,
     {"/dev/a"},
     "stream source=/dev/a"},
    {"a device is a name, with a colon or not",
     DROPIN_TO_STDOUT,
     {"/dev/a:b"},
     "stream source=/dev/a:b"},
    {"two dashes end the options of an export",
     DROPIN_TO_STDOUT,
     {"--", "-c"},
     "stream source=-c"},
    {"an export may be a difference",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b"},
     "stream source=/dev/a base=/dev/b"},
    {"options may come first",
     DROPIN_TO_STDOUT,
     {"--diff", "/dev/b", "-c", "4096", "/dev/a"},
     "stream source=/dev/a base=/dev/b cluster=4096"},
    {"a value may stand behind an equals sign",
     DROPIN_TO_STDOUT,
     {"--diff=/dev/b", "/dev/a"},
     "stream source=/dev/a base=/dev/b"},
    {"there may be a map and information on it",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "5", "--json-header-info", "0"},
     "stream source=/dev/a map-fd=5 info-fd=0"},
    {"there may be a map alone",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "5"},
     "stream source=/dev/a map-fd=5"},
    {"an fd may be named by its UUID",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", UUID},
     "stream source=/dev/a map-fd=5"},
    {"an fd may be marked as such",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "fd:5"},
     "stream source=/dev/a map-fd=5"},
    {"there may be a map of the base alone",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-diff-map", "5"},
     "stream source=/dev/a base=/dev/b base-map-fd=5"},
    {"there may be maps of both",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-map", "5",
      "--json-header-info", "0", "--json-header-diff-map", "1",
      "--json-header-diff-info", "2"},
     "stream source=/dev/a base=/dev/b map-fd=5 info-fd=0 base-map-fd=1 "
     "base-info-fd=2"},
    {"information may come before its map",
     DROPIN_TO_STDOUT,
     {"--json-header-diff-info", "2", "--json-header-diff-map", "1", "--diff",
      "/dev/b", "--json-header-info", "0", "--json-header-map", "5", "/dev/a"},
     "stream source=/dev/a base=/dev/b map-fd=5 info-fd=0 base-map-fd=1 "
     "base-info-fd=2"},
    {"a UUID that was not passed is no map",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", NO_UUID, "--json-header-info", NO_UUID},
     "stream source=/dev/a"},
    {"information without the map that was not passed is none",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", NO_UUID, "--json-header-info", "5"},
     "stream source=/dev/a"},
    {"a map does without the information that was not passed",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "5", "--json-header-info", NO_UUID},
     "stream source=/dev/a map-fd=5"},
    {"a base's map may not have been passed",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-map", "5",
      "--json-header-diff-map", NO_UUID, "--json-header-diff-info", NO_UUID},
     "stream source=/dev/a base=/dev/b map-fd=5"},
    {"clusters that are data may come in on standard input",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header"},
     "stream source=/dev/a map-fd=0 clusters"},
    {"the base's clusters may be told, too",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-diff", UUID,
      "--json-header"},
     "stream source=/dev/a base=/dev/b map-fd=0 base-map-fd=5 clusters "
     "base-clusters"},
    {"the base's clusters may be told alone",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-diff", "5"},
     "stream source=/dev/a base=/dev/b base-map-fd=5 base-clusters"},
    {"the output may be an fd, and progress is shown then",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--output", UUID},
     "stream source=/dev/a fd=5 machine"},
    {"clusters and refcounts have short options",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-c", "131072", "-r", "1"},
     "stream source=/dev/a cluster=131072 refcount=1"},
    {"clusters and refcounts have long options",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--cluster-size", "2M", "--refcount-bits", "64"},
     "stream source=/dev/a cluster=2097152 refcount=64"},
    {"a value may follow at once",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-c512", "-r8"},
     "stream source=/dev/a cluster=512 refcount=8"},
    {"an export has help", DROPIN_TO_STDOUT, {"--help"}, "none help"},
    {"an export has short help", DROPIN_TO_STDOUT, {"-h"}, "none help"},
    {"an export has a version",
     DROPIN_TO_STDOUT,
     {"--version"},
     "none version"},
    {"an export has help, whatever contradicts",
     DROPIN_TO_STDOUT,
     {"--json-header-info", "5", "--help"},
     "none help"},
};

static void test_accepted(void)
{
    for (size_t i = 0; i < N_ELEMENTS(accepted); i++) {
        struct options CLEANUP(options) o;
        struct error err = {0};

        TEST(accepted[i].name);
        if (CHECK_OK(parse_dropin(accepted[i].dropin, accepted[i].args, &o,
                                  &err),
                     &err))
            CHECK_STR(describe_rest(&o), accepted[i].meaning);
    }
}

#define ONLY(command)                                                         \
    "unknown command '" command "'; there are stream_decode and read_headers"

static const struct {
    const char *name;
    enum dropin dropin;
    const char *args[MAX_ARGS];
    const char *message;
} refused[] = {
    {"an import needs a device, if nothing else",
     DROPIN_STREAM_TOOL,
     {NULL},
     "a DEVICE is missing"},
    {"an import has one command",
     DROPIN_STREAM_TOOL,
     {"stream", "/dev/a"},
     ONLY("stream")},
    {"an import's command comes first",
     DROPIN_STREAM_TOOL,
     {"/dev/a", "stream_decode"},
     ONLY("/dev/a")},
    {"an import needs a device",
     DROPIN_STREAM_TOOL,
     {"stream_decode"},
     "one DEVICE is needed, 0 are given"},
    {"an import has one device",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "/dev/a", "/dev/b"},
     "one DEVICE is needed, 2 are given"},
    {"a word that is neither a command nor a file is not made one",
     DROPIN_STREAM_TOOL,
     {"read_header"},
     ONLY("read_header")},
    {"an image has to be named",
     DROPIN_STREAM_TOOL,
     {"read_headers"},
     "one IMAGE is needed, 0 are given"},
    {"one image is enough",
     DROPIN_STREAM_TOOL,
     {"read_headers", "/a", "/b"},
     "one IMAGE is needed, 2 are given"},
    {"an import has no options of ours",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "/dev/a", "--progress"},
     "unknown option '--progress'"},
    {"an import has no short options",
     DROPIN_STREAM_TOOL,
     {"stream_decode", "/dev/a", "-c", "4096"},
     "unknown option '-c'"},

    {"an export needs a device",
     DROPIN_TO_STDOUT,
     {NULL},
     "one DEVICE is needed, 0 are given"},
    {"an export has one device",
     DROPIN_TO_STDOUT,
     {"/dev/a", "/dev/b", "--diff", "/dev/c"},
     "one DEVICE is needed, 2 are given"},
    {"an unknown option is named",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--layout", "any"},
     "unknown option '--layout'"},
    {"of short options in one the unknown one is named",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-xc", "4096"},
     "unknown option '-x'"},
    {"an option that has no value has none",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--help=yes"},
     "--help=yes: no value is taken"},
    {"an option lacks its value",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff"},
     "--diff needs a value"},
    {"a short option lacks its value",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-c"},
     "-c needs a value"},
    {"an option that may be two is unknown",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-d", "5"},
     "unknown option '--json-header-d'"},
    {"clusters on standard input have no fd",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header", "5"},
     "one DEVICE is needed, 2 are given"},
    {"there is one map of a disk",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header", "--json-header-map", "5"},
     "--json-header and --json-header-map are both given"},
    {"there is one map of the base",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-diff", "5",
      "--json-header-diff-map", "5"},
     "--json-header-diff and --json-header-diff-map are both given"},
    {"clusters of the base need a base",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-diff", "5"},
     "--json-header-diff needs --diff"},
    {"the output has to have been passed",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--output", NO_UUID},
     "--output: no fd is named " NO_UUID " in LISTEN_FDNAMES"},
    {"the output is an fd, no name of a file",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--output", "a.qcow2"},
     "--output: 'a.qcow2' is neither an fd nor a UUID"},
    {"information needs its map",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-info", "5"},
     "--json-header-info needs --json-header-map"},
    {"information on the base needs its map",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-diff-info", "5"},
     "--json-header-diff-info needs --json-header-diff-map"},
    {"the source's map is not the base's",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--diff", "/dev/b", "--json-header-map", "5",
      "--json-header-diff-info", "5"},
     "--json-header-diff-info needs --json-header-diff-map"},
    {"a map of the base needs a base",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-diff-map", "5"},
     "--json-header-diff-map needs --diff"},
    {"an fd must be open",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "6"},
     "--json-header-map: fd 6: Bad file descriptor"},
    {"an fd of information must be open",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-info", "6"},
     "--json-header-info: fd 6: Bad file descriptor"},
    {"an fd of the base must be open",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-diff-map", "6"},
     "--json-header-diff-map: fd 6: Bad file descriptor"},
    {"an fd of the base's information must be open",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-diff-info", "6"},
     "--json-header-diff-info: fd 6: Bad file descriptor"},
    {"an fd is not the name of a file",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--json-header-map", "map"},
     "--json-header-map: 'map' is neither an fd nor a UUID"},
    {"clusters are a power of two",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-c", "65535"},
     "--cluster-size: '65535' is not a power of two from 512 to 2M"},
    {"clusters are no larger than qcow2 has them",
     DROPIN_TO_STDOUT,
     {"/dev/a", "-c", "4M"},
     "--cluster-size: '4M' is not a power of two from 512 to 2M"},
    {"refcounts are a power of two",
     DROPIN_TO_STDOUT,
     {"/dev/a", "--refcount-bits", "12"},
     "--refcount-bits: '12' is not a power of two from 1 to 64"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
        struct options CLEANUP(options) o;
        struct error err = {0};

        TEST(refused[i].name);
        CHECK_FAILS(parse_dropin(refused[i].dropin, refused[i].args, &o, &err),
                    &err, refused[i].message);
    }
}

int main(void)
{
    test_begin();
    prepare_surroundings();
    prepare_output();
    test_names();
    test_accepted();
    test_refused();
    return test_end();
}
