/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what the command line means. */

#include "config.h"

#include "command-line.h"

#include <inttypes.h>

enum { SPACE = 1024 };

/* Adds " key=value" to out unless it is the usual one. */
static void say(char out[SPACE], const char *key, const char *value,
                const char *usual)
{
    size_t used = strlen(out);

    if (value == NULL)
        value = "(NULL)";
    if (strcmp(value, usual) != 0)
        snprintf(out + used, SPACE - used, " %s=%s", key, value);
}

static void say_number(char out[SPACE], const char *key, uint64_t value,
                       uint64_t usual)
{
    size_t used = strlen(out);

    if (value != usual)
        snprintf(out + used, SPACE - used, " %s=%" PRIu64, key, value);
}

static void say_flag(char out[SPACE], const char *key, bool value)
{
    size_t used = strlen(out);

    if (value)
        snprintf(out + used, SPACE - used, " %s", key);
}

static void say_progress(char out[SPACE], enum progress_mode mode)
{
    say_flag(out, "bar", mode == PROGRESS_BAR);
    say_flag(out, "machine", mode == PROGRESS_MACHINE);
}

static void say_qemu(char out[SPACE], const struct qemu *qemu)
{
    say(out, "qemu-img", qemu->img, QEMU_IMG_PATH);
    say(out, "qemu-io", qemu->io, QEMU_IO_PATH);
    say(out, "qemu-nbd", qemu->nbd, QEMU_NBD_PATH);
}

/* The command, and all that is not as it is without any option. */
static const char *describe(const struct options *o)
{
    static char out[SPACE];
    const struct stream_options *stream = &o->stream;
    const struct serve_options *serve = &o->serve;

    snprintf(out, sizeof out, "%s",
             o->command == COMMAND_NONE ? "none"
                                        : options_command_name(o->command));
    say_flag(out, "help", o->wants_help);
    say_flag(out, "version", o->wants_version);
    say_flag(out, "verbose", o->log_level == LOG_SUMMARY);
    say_flag(out, "debug", o->log_level == LOG_DEBUG);
    if (o->wants_help || o->wants_version)
        return out;
    if (o->command == COMMAND_STREAM) {
        say(out, "source", stream->source, "disk");
        say_flag(out, "hybrid", stream->source_format == SOURCE_HYBRID);
        say(out, "image-format", stream->image_format, "qcow2");
        say(out, "destination", stream->destination, "(NULL)");
        say_number(out, "fd", stream->destination_fd, STDOUT_FILENO);
        say_flag(out, "convert", stream->layout == LAYOUT_CONVERT);
        say_flag(out, "any", stream->layout == LAYOUT_ANY);
        say_number(out, "cluster", stream->qcow2.cluster_size, 65536);
        say_number(out, "refcount", stream->qcow2.refcount_bits, 16);
        say_flag(out, "v2", stream->qcow2.is_v2);
        say_flag(out, "extended", stream->qcow2.is_extended_l2);
        say_flag(out, "direct", stream->is_direct);
        say(out, "spool", stream->spool_dir, "/usual");
        say_progress(out, stream->progress);
        say_qemu(out, &stream->qemu);
    } else if (o->command == COMMAND_SERVE) {
        say_number(out, "fd", serve->source_fd, STDIN_FILENO);
        say_number(out, "size", serve->source_size, 0);
        say_number(out, "hint", serve->size_hint, 0);
        say(out, "destination", serve->destination, "disk");
        say_flag(out, "prezeroed", serve->is_prezeroed);
        say_flag(out, "direct", serve->is_direct);
        say(out, "spool", serve->spool_dir, "/usual");
        say_number(out, "limit", serve->spool_limit, 0);
        say_progress(out, serve->progress);
        say_qemu(out, &serve->qemu);
    }
    return out;
}

static const struct {
    const char *name;
    const char *args[MAX_ARGS];
    const char *meaning;
} accepted[] = {
    {"stream needs a source and nothing else", {STREAM}, "stream"},
    {"serve needs a destination and nothing else", {SERVE}, "serve"},
    {"the program has help", {"--help"}, "none help"},
    {"the program has short help", {"-h"}, "none help"},
    {"the program has a version", {"--version"}, "none version"},
    {"a command has help, whatever is missing",
     {"stream", "--help"},
     "stream help"},
    {"a command has short help", {"serve", "-h"}, "serve help"},
    {"a command has a version", {"serve", "--version"}, "serve version"},
    {"help comes before what contradicts",
     {"stream", "--compat", "v2", "--extended-l2", "--help"},
     "stream help"},

    {"an option may have its value behind an equals sign",
     {"stream", "--source=a=b"},
     "stream source=a=b"},
    {"an option may be cut short",
     {"stream", "--source", "a", "--clus", "4K"},
     "stream source=a cluster=4096"},
    {"of an option twice the last counts",
     {STREAM, "--source", "other"},
     "stream source=other"},
    {"two dashes end the options", {STREAM, "--"}, "stream"},

    {"a source may be a URL of a file",
     {"stream", "--source", "file:///dev/sda"},
     "stream source=/dev/sda"},
    {"a source may have a colon",
     {"stream", "--source", "a:b"},
     "stream source=a:b"},
    {"raw is the usual format", {STREAM, "--source-format", "raw"}, "stream"},
    {"hybrid names a device and an image",
     {"stream", "--source-format", "hybrid", "--source", "/dev/a:/b"},
     "stream source=/dev/a:/b hybrid"},
    {"an image may have another format",
     {STREAM, "--image-format", "vhdx"},
     "stream image-format=vhdx"},

    {"a destination may be a path",
     {STREAM, "--destination", "/a/b"},
     "stream destination=/a/b"},
    {"a destination may be a URL of a file",
     {STREAM, "--destination", "file:///a/b"},
     "stream destination=/a/b"},
    {"a path may have what looks like a URL in it",
     {STREAM, "--destination", "/a/nbd://b"},
     "stream destination=/a/nbd://b"},
    {"a destination may be standard output",
     {STREAM, "--destination", "stdout:"},
     "stream"},
    {"a destination may be an fd",
     {STREAM, "--destination", "fd:5"},
     "stream fd=5"},
    {"a destination may be an fd by its UUID",
     {STREAM, "--destination", "fd:" UUID},
     "stream fd=5"},
    {"an fd may be given by its number",
     {STREAM, "--destination-fd", "5"},
     "stream fd=5"},
    {"an fd may be given by its UUID",
     {STREAM, "--destination-fd", UUID},
     "stream fd=5"},
    {"of a destination and an fd the last counts",
     {STREAM, "--destination", "a", "--destination-fd", "5"},
     "stream fd=5"},
    {"of an fd and standard output the last counts",
     {STREAM, "--destination-fd", "5", "--destination", "stdout:"},
     "stream"},

    {"streamable is the usual layout",
     {STREAM, "--layout", "streamable"},
     "stream"},
    {"the layout may be convert's",
     {STREAM, "--layout", "convert"},
     "stream convert"},
    {"the layout may be any", {STREAM, "--layout", "any"}, "stream any"},
    {"clusters may have 512 bytes",
     {STREAM, "--cluster-size", "512"},
     "stream cluster=512"},
    {"clusters may have 2 MiB",
     {STREAM, "--cluster-size", "2M"},
     "stream cluster=2097152"},
    {"refcounts may have 1 bit",
     {STREAM, "--refcount-bits", "1"},
     "stream refcount=1"},
    {"refcounts may have 64 bits",
     {STREAM, "--refcount-bits", "64"},
     "stream refcount=64"},
    {"version 3 is 1.1", {STREAM, "--compat", "1.1"}, "stream"},
    {"version 3 is v3", {STREAM, "--compat", "v3"}, "stream"},
    {"version 2 is 0.10", {STREAM, "--compat", "0.10"}, "stream v2"},
    {"version 2 is v2", {STREAM, "--compat", "v2"}, "stream v2"},
    {"there may be subclusters", {STREAM, "--extended-l2"}, "stream extended"},
    {"the smallest clusters with subclusters have 16 KiB",
     {STREAM, "--extended-l2", "--cluster-size", "16K"},
     "stream cluster=16384 extended"},

    {"a stream may come from an fd",
     {SERVE, "--source-fd", "5"},
     "serve fd=5"},
    {"a stream may come from an fd by its UUID",
     {SERVE, "--source-fd", UUID},
     "serve fd=5"},
    {"the length of a stream may be known",
     {SERVE, "--source-size", "12345"},
     "serve size=12345"},
    {"the size of the destination may be anything",
     {SERVE, "--destination-size", "1125899906842624"},
     "serve hint=1125899906842624"},
    {"the largest size fits",
     {SERVE, "--source-size", "9223372036854775807", "--destination-size",
      "8388607T"},
     "serve size=9223372036854775807 hint=9223370937343148032"},
    {"sizes have units",
     {SERVE, "--source-size", "3G", "--destination-size", "7K"},
     "serve size=3221225472 hint=7168"},
    {"a destination to serve may be a URL of a file",
     {"serve", "--destination", "file:///dev/sda"},
     "serve destination=/dev/sda"},
    {"the destination may be prezeroed",
     {SERVE, "--prezeroed"},
     "serve prezeroed"},
    {"the formats may be said",
     {SERVE, "--source-format", "qcow2", "--destination-format", "raw",
      "--source-protocol", "none", "--destination-protocol", "none"},
     "serve"},

    {"progress is for people", {STREAM, "--progress"}, "stream bar"},
    {"progress may be for machines",
     {STREAM, "--machine", "--progress"},
     "stream machine"},
    {"without progress machines get nothing", {SERVE, "--machine"}, "serve"},
    {"the page cache may be passed by", {STREAM, "--direct"}, "stream direct"},
    {"unbuffered is the same", {SERVE, "--unbuffered"}, "serve direct"},
    {"the spool may be elsewhere",
     {SERVE, "--spool-dir", "/a"},
     "serve spool=/a"},
    {"the spool may have a limit",
     {SERVE, "--spool-limit", "3G"},
     "serve limit=3221225472"},
    {"a limit of 0 is none", {SERVE, "--spool-limit", "0"}, "serve"},
    {"QEMU may be elsewhere",
     {STREAM, "--qemu-img", "/a/img", "--qemu-io", "/a/io", "--qemu-nbd",
      "/a/nbd"},
     "stream qemu-img=/a/img qemu-io=/a/io qemu-nbd=/a/nbd"},
    {"-v is verbose", {STREAM, "-v"}, "stream verbose"},
    {"--verbose is verbose", {SERVE, "--verbose"}, "serve verbose"},
    {"--debug says more than --verbose",
     {SERVE, "--debug", "--verbose"},
     "serve debug"},

    {"a prefix may be an empty argument",
     {STREAM, "--tar-filename-prefix", "", "--direct"},
     "stream direct"},
    {"a prefix may be an argument",
     {STREAM, "--tar-filename-prefix", "disk", "--direct"},
     "stream direct"},
    {"a prefix may be missing",
     {STREAM, "--tar-filename-prefix", "--direct"},
     "stream direct"},
    {"a prefix may be behind an equals sign",
     {STREAM, "--tar-filename-prefix=a", "--direct"},
     "stream direct"},
    {"a prefix may be missing at the end",
     {SERVE, "--tar-filename-prefix"},
     "serve"},
    {"what vhd-tool takes besides is ignored",
     {SERVE, "--path", "/dev/mapper:.", "--good-ciphersuites", "a", "--sni",
      "b", "--cert-bundle-path", "c", "--ignore-checksums", "--verify-dest"},
     "serve"},

    {"stream as xapi calls it",
     {"stream",
      "--source-protocol",
      "none",
      "--source-format",
      "hybrid",
      "--source",
      "/dev/sm/a:/dev/b",
      "--destination-protocol",
      "none",
      "--destination-format",
      "qcow2",
      "--destination-fd",
      UUID,
      "--tar-filename-prefix",
      "",
      "--progress",
      "--machine",
      "--direct",
      "--path",
      "/dev/mapper:."},
     "stream source=/dev/sm/a:/dev/b hybrid fd=5 direct machine"},
    {"serve as xapi calls it",
     {"serve", "--source-format", "qcow2", "--source-protocol", "none",
      "--source-fd", UUID, "--tar-filename-prefix", "", "--destination",
      "file:///dev/sm/backend/a/b", "--destination-format", "raw",
      "--progress", "--machine", "--direct", "--destination-size", "0",
      "--prezeroed"},
     "serve fd=5 destination=/dev/sm/backend/a/b prezeroed direct machine"},
};

static void test_accepted(void)
{
    for (size_t i = 0; i < N_ELEMENTS(accepted); i++) {
        struct options o;
        struct error err = {0};

        TEST(accepted[i].name);
        if (CHECK_OK(parse(accepted[i].args, &o, &err), &err))
            CHECK_STR(describe(&o), accepted[i].meaning);
    }
}

static void test_environment(void)
{
    static const char *const args[MAX_ARGS] = {STREAM};
    static const char *const given[MAX_ARGS] = {STREAM, "--qemu-io", "/c/io",
                                                "--spool-dir", "/c"};
    struct options o;
    struct error err;

    TEST("the environment says where QEMU and the spool are");
    setenv("QCOW_TOOL_QEMU_IMG", "/b/img", 1);
    setenv("QCOW_TOOL_QEMU_IO", "/b/io", 1);
    setenv("TMPDIR", "/b", 1);
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(describe(&o), "stream spool=/b qemu-img=/b/img qemu-io=/b/io");

    TEST("an option says it louder");
    CHECK_OK(parse(given, &o, &err), &err);
    CHECK_STR(describe(&o), "stream spool=/c qemu-img=/b/img qemu-io=/c/io");

    TEST("without a word the spool is where files may be large");
    unsetenv("TMPDIR");
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(o.stream.spool_dir, "/var/tmp");
    setenv("TMPDIR", "", 1);
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(o.serve.spool_dir, "/var/tmp");
}

int main(void)
{
    test_begin();
    prepare_surroundings();
    test_accepted();
    test_environment();
    return test_end();
}
