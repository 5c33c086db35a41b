/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what the command line means. */

#include "config.h"

#include "command-line.h"

static const struct {
    const char *name;
    const char *args[MAX_ARGS];
    const char *meaning;
} accepted[] = {
    {"stream needs a source and nothing else", {STREAM}, "stream"},
    {"measure needs a source and nothing else", {MEASURE}, "measure"},
    {"serve needs a destination and nothing else", {SERVE}, "serve"},
    {"the program has help", {"--help"}, "none help"},
    {"the program has short help", {"-h"}, "none help"},
    {"the program has a version", {"--version"}, "none version"},
    {"the program has a short version", {"-V"}, "none version"},
    {"help is a command, too", {"help"}, "none help"},
    {"help tells about a command", {"help", "serve"}, "serve help"},
    {"a command has help, whatever is missing",
     {"stream", "--help"},
     "stream help"},
    {"a command has short help", {"serve", "-h"}, "serve help"},
    {"a command has a version", {"serve", "--version"}, "serve version"},
    {"a command has a short version", {"measure", "-V"}, "measure version"},
    {"help comes before what is given twice or is too much",
     {"serve", "a", "b", "--source-fd", "0", "--source-fd", "0", "-h"},
     "serve help"},
    {"measure has help", {"measure", "--help"}, "measure help"},
    {"help comes before what contradicts",
     {"stream", "--compat", "v2", "--extended-l2", "--help"},
     "stream help"},

    {"an option may have its value behind an equals sign",
     {"stream", "--source=a=b"},
     "stream source=a=b"},
    {"an option may be cut short",
     {"stream", "--source", "a", "--clus", "4K"},
     "stream source=a cluster=4096"},
    {"an option without a value may be there twice",
     {STREAM, "--direct", "--direct", "-vv"},
     "stream verbose direct"},
    {"two dashes end the options", {STREAM, "--"}, "stream"},

    {"a word alone is the source", {"stream", "disk"}, "stream"},
    {"a word alone may stand behind options",
     {"stream", "--direct", "a", "-v"},
     "stream verbose source=a direct"},
    {"a word alone may look like an option behind two dashes",
     {"stream", "--", "--direct"},
     "stream source=--direct"},
    {"a word alone is in the form that the format wants",
     {"measure", "/dev/a:/b", "--source-format", "hybrid"},
     "measure source=/dev/a:/b format=hybrid"},
    {"a word alone is the destination of serve",
     {"serve", "file:///dev/sda"},
     "serve destination=/dev/sda"},
    {"a dash is standard output", {STREAM, "--destination", "-"}, "stream"},
    {"a dash as an fd is standard output, too",
     {STREAM, "--destination-fd", "-"},
     "stream"},
    {"a dash as an fd is standard input",
     {SERVE, "--source-fd", "-"},
     "serve"},
    {"a dash is a source, if standard input is a disk",
     {"stream", "-", "--source-format", "qcow2"},
     "stream source=/dev/fd/0 format=image"},
    {"a dash is a destination, if standard output is a disk",
     {"serve", "-"},
     "serve destination=/dev/fd/1"},
    {"a file may have a dash for its name",
     {"stream", "./-"},
     "stream source=./-"},

    {"a source may be a URL of a file",
     {"stream", "--source", "file:///dev/sda"},
     "stream source=/dev/sda"},
    {"a source may have a colon",
     {"stream", "--source", "a:b"},
     "stream source=a:b"},
    {"raw is the usual format", {STREAM, "--source-format", "raw"}, "stream"},
    {"hybrid names a device and an image",
     {"stream", "--source-format", "hybrid", "--source", "/dev/a:/b"},
     "stream source=/dev/a:/b format=hybrid"},
    {"an image may have another format",
     {"stream", "--source", "a:b", "--source-format", "hybrid",
      "--image-format", "vhdx"},
     "stream source=a:b format=hybrid image-format=vhdx"},
    {"a source may be a qcow2 file",
     {STREAM, "--source-format", "qcow2"},
     "stream format=image"},
    {"a source may be a vpc file",
     {STREAM, "--source-format", "vpc"},
     "stream format=image image-format=vpc"},
    {"a source may be a vhdx file",
     {STREAM, "--source-format", "vhdx"},
     "stream format=image image-format=vhdx"},
    {"a source may be a vmdk file",
     {STREAM, "--source-format", "vmdk"},
     "stream format=image image-format=vmdk"},
    {"a source may be a vdi file",
     {STREAM, "--source-format", "vdi"},
     "stream format=image image-format=vdi"},
    {"an image file's format is its own",
     {"stream", "--source", "a:b", "--source-format", "vdi", "--image-format",
      "vmdk"},
     "stream source=a:b format=image image-format=vdi"},
    {"an image file may be a URL of a file",
     {"stream", "--source", "file:///a", "--source-format", "qcow2"},
     "stream source=/a format=image"},
    {"nbd has a URI",
     {"stream", "--source", "nbd://host:10809/name", "--source-format", "nbd"},
     "stream source=nbd://host:10809/name format=nbd"},
    {"nbdhybrid names a device, a socket, an export and a size",
     {"stream", "--source", "/dev/a:/b/socket:name:1048576", "--source-format",
      "nbdhybrid"},
     "stream source=/dev/a:/b/socket:name:1048576 format=nbdhybrid"},
    {"nbdhybrid's export may have no name",
     {"stream", "--source", "/dev/a:/b/socket::0", "--source-format",
      "nbdhybrid"},
     "stream source=/dev/a:/b/socket::0 format=nbdhybrid"},

    {"a base may be a path",
     {STREAM, "--relative-to", "/dev/b"},
     "stream base=/dev/b"},
    {"a base may be a URL of a file",
     {STREAM, "--relative-to", "file:///dev/b"},
     "stream base=/dev/b"},
    {"a base may be a URI of NBD",
     {STREAM, "--relative-to", "nbd+unix:///name?socket=/a"},
     "stream base=nbd+unix:///name?socket=/a"},
    {"zeroes over data may be data",
     {STREAM, "--zero-clusters", "data"},
     "stream"},
    {"zeroes over data may be marked",
     {STREAM, "--zero-clusters", "flag"},
     "stream marking"},
    {"what has changed may be in a bitmap",
     {"stream", "--source", "nbd://h", "--source-format", "nbd", "--bitmap",
      "b c"},
     "stream source=nbd://h format=nbd bitmap=b c"},
    {"what has changed may be in a file",
     {STREAM, "--changed-blocks", "/a/b"},
     "stream changed=/a/b"},
    {"what has changed may come on standard input",
     {STREAM, "--changed-blocks", "-"},
     "stream changed-fd=0"},
    {"what has changed and is zero may be marked",
     {STREAM, "--changed-blocks", "a", "--zero-clusters", "flag",
      "--detect-zeroes"},
     "stream changed=a marking detecting"},
    {"zeroes in data may be looked for",
     {STREAM, "--detect-zeroes"},
     "stream detecting"},
    {"a stream may begin in the middle",
     {STREAM, "--offset", "3G"},
     "stream offset=3221225472"},
    {"a stream may begin at its beginning",
     {STREAM, "--offset", "0"},
     "stream"},

    {"a piece of a stream may be wanted",
     {STREAM, "--length", "2M"},
     "stream length=2097152"},
    {"a piece of a stream may be in its middle",
     {STREAM, "--offset", "3G", "--length", "1"},
     "stream offset=3221225472 length=1"},

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
    {"a destination may be a Unix socket",
     {STREAM, "--destination", "unix:///a/b"},
     "stream unix=/a/b"},
    {"a destination may be at the other end of a network",
     {STREAM, "--destination", "tcp://host:1"},
     "stream tcp=host:1"},

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
    {"refcounts may be what the importer takes",
     {STREAM, "--refcount-bits", "auto"},
     "stream refcount=auto"},
    {"a measure, too",
     {MEASURE, "--refcount-bits", "auto"},
     "measure refcount=auto"},
    {"version 2 has refcounts of 16 bits, whatever is taken",
     {STREAM, "--refcount-bits", "auto", "--compat", "0.10"},
     "stream v2"},
    {"stream's spool may have a limit",
     {STREAM, "--spool-limit", "1G"},
     "stream limit=1073741824"},
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
    {"a destination to serve may be an NBD export",
     {"serve", "nbd+unix:///a?socket=/b", "--prezeroed"},
     "serve destination=nbd+unix:///a?socket=/b nbd prezeroed"},
    {"a destination to serve may be an image, with options of its own",
     {SERVE, "--destination-options", "subformat=fixed",
      "--destination-format", "vpc"},
     "serve image=vpc options=subformat=fixed"},
    {"zeroes may keep their space",
     {SERVE, "--discard", "ignore"},
     "serve keep"},
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
    {"the page cache may be passed by", {STREAM, "--direct"}, "stream direct"},
    {"a destination in use may be written, whatever else is said of it",
     {STREAM, "--force", "--destination", "a"},
     "stream destination=a force"},
    {"a disk in use may be written", {SERVE, "--force"}, "serve force"},
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
    {"--quiet says less", {STREAM, "--quiet"}, "stream quiet"},
    {"-q is quiet", {SERVE, "-q"}, "serve quiet"},

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
      "b", "--cert-bundle-path", "c", "--ignore-checksums", "--verify-dest",
      "--path", "d"},
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
     "stream source=/dev/sm/a:/dev/b format=hybrid direct fd=5 machine"},
    {"stream of a difference as xapi calls it",
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
      "/dev/mapper:.",
      "--relative-to",
      "/dev/c"},
     "stream source=/dev/sm/a:/dev/b format=hybrid base=/dev/c direct fd=5 "
     "machine"},
    {"serve as xapi calls it",
     {"serve", "--source-format", "qcow2", "--source-protocol", "none",
      "--source-fd", UUID, "--tar-filename-prefix", "", "--destination",
      "file:///dev/sm/backend/a/b", "--destination-format", "raw",
      "--progress", "--machine", "--direct", "--destination-size", "0",
      "--prezeroed"},
     "serve fd=5 destination=/dev/sm/backend/a/b prezeroed direct machine"},

    {"measure takes what stream takes of the source and the image",
     {"measure",
      "--source",
      "/dev/a:/b",
      "--source-format",
      "hybrid",
      "--image-format",
      "vhdx",
      "--relative-to",
      "/c",
      "--zero-clusters",
      "flag",
      "--detect-zeroes",
      "--layout",
      "convert",
      "--cluster-size",
      "16K",
      "--refcount-bits",
      "8",
      "--extended-l2",
      "--direct",
      "--spool-dir",
      "/d"},
     "measure source=/dev/a:/b format=hybrid image-format=vhdx base=/c "
     "marking detecting convert cluster=16384 refcount=8 extended direct "
     "spool=/d"},
    {"measure may be told where QEMU is",
     {MEASURE, "--qemu-img", "/a/img", "--qemu-io", "/a/io", "--qemu-nbd",
      "/a/nbd"},
     "measure qemu-img=/a/img qemu-io=/a/io qemu-nbd=/a/nbd"},
    {"measure may show how far it is",
     {MEASURE, "--progress", "--machine", "--debug"},
     "measure debug machine"},
    {"measure knows an NBD URI and an old version, too",
     {"measure", "--source", "nbd://host", "--source-format", "nbd",
      "--compat", "v2"},
     "measure source=nbd://host format=nbd v2"},
    {"measure ignores what vhd-tool takes besides",
     {MEASURE, "--tar-filename-prefix", "", "--path", "/dev/mapper:.",
      "--source-protocol", "none"},
     "measure"},
};

static void test_accepted(void)
{
    for (size_t i = 0; i < N_ELEMENTS(accepted); i++) {
        struct options CLEANUP(options) o;
        struct error err = {0};

        TEST(accepted[i].name);
        if (CHECK_OK(parse(accepted[i].args, &o, &err), &err))
            CHECK_STR(describe(&o), accepted[i].meaning);
    }
}

static void test_caution(void)
{
    static const char *const plain[MAX_ARGS] = {STREAM};
    static const char *const careful[MAX_ARGS] = {STREAM, "--sandbox",
                                                  "require", "--stall-timeout",
                                                  "90"};
    static const char *const careless[MAX_ARGS] = {MEASURE, "--sandbox",
                                                   "off"};
    struct options CLEANUP(options) o;
    struct error err;

    TEST("QEMU has a sandbox, as far as the host has one, and no time limit");
    CHECK_OK(parse(plain, &o, &err), &err);
    CHECK_INT(o.stream.export.qemu.sandbox, CAGE_AUTO);
    CHECK_INT(o.stall_seconds, 0);
    options_clear(&o);
    TEST("that may be otherwise");
    CHECK_OK(parse(careful, &o, &err), &err);
    CHECK_INT(o.stream.export.qemu.sandbox, CAGE_REQUIRE);
    CHECK_INT(o.serve.qemu.sandbox, CAGE_REQUIRE);
    CHECK_INT(o.stall_seconds, 90);
    options_clear(&o);
    CHECK_OK(parse(careless, &o, &err), &err);
    CHECK_INT(o.measure.export.qemu.sandbox, CAGE_OFF);
}

static void test_environment(void)
{
    static const char *const args[MAX_ARGS] = {STREAM};
    static const char *const given[MAX_ARGS] = {STREAM, "--qemu-io", "/c/io",
                                                "--spool-dir", "/c"};
    struct options CLEANUP(options) o;
    struct error err;

    TEST("the environment says where QEMU and the spool are");
    setenv("QCOW_TOOL_QEMU_IMG", "/b/img", 1);
    setenv("QCOW_TOOL_QEMU_IO", "/b/io", 1);
    setenv("TMPDIR", "/b", 1);
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(describe(&o), "stream spool=/b qemu-img=/b/img qemu-io=/b/io");

    TEST("an option says it louder");
    options_clear(&o);
    CHECK_OK(parse(given, &o, &err), &err);
    CHECK_STR(describe(&o), "stream spool=/c qemu-img=/b/img qemu-io=/c/io");

    TEST("without a word the spool is where files may be large");
    unsetenv("TMPDIR");
    options_clear(&o);
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(o.stream.export.spool_dir, "/var/tmp");

    TEST("the spool has a variable of its own, and its limit another");
    setenv("TMPDIR", "/b", 1);
    setenv("QCOW_TOOL_SPOOL_DIR", "/c", 1);
    setenv("QCOW_TOOL_SPOOL_LIMIT", "1K", 1);
    options_clear(&o);
    CHECK_OK(parse((const char *const[MAX_ARGS]){SERVE}, &o, &err), &err);
    CHECK_STR(describe(&o),
              "serve spool=/c limit=1024 qemu-img=/b/img qemu-io=/b/io");
    options_clear(&o);
    CHECK_OK(parse((const char *const[MAX_ARGS]){SERVE, "--spool-dir", "/d",
                                                 "--spool-limit", "0"},
                   &o, &err),
             &err);
    CHECK_STR(describe(&o), "serve spool=/d qemu-img=/b/img qemu-io=/b/io");
    unsetenv("QCOW_TOOL_SPOOL_DIR");
    unsetenv("QCOW_TOOL_SPOOL_LIMIT");
    setenv("TMPDIR", "", 1);
    options_clear(&o);
    CHECK_OK(parse(args, &o, &err), &err);
    CHECK_STR(o.serve.spool_dir, "/var/tmp");
}

int main(void)
{
    test_begin();
    prepare_surroundings();
    test_accepted();
    test_caution();
    test_environment();
    return test_end();
}
