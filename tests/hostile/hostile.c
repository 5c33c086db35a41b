/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Sends broken images to `serve', thousands of them, and judges the outcome.
 *
 *     hostile [-s SEED] [-n COUNT] [-c CASE] [-j JOBS] [-k] [-m MIB] [-v]
 *         IMAGE...
 *
 * COUNT (1000) images, made of valid ones, several JOBS (2) at a time.  SEED
 * (1) and the number of a case decide what is done to which image, if the
 * images are the same.  A case that fails is told, with the image and how to
 * see it again: -c runs that one alone, says everything and keeps its files.
 * -k: fails also unless a fair part of the images were accepted, and refused
 * by their headers, and by their tables.  -v: a line for each case.
 * -m: how much memory the largest process of a case may take (85 MiB).
 *
 * qcow-tool and qemu-img are the first in PATH.  All files are in a directory
 * of TMPDIR.
 */

/* Notes on the design
 *
 * The destination is full of 0xAA before.  Then
 *
 *     serve exits with 0     `qemu-img convert' has to read the image, and the
 *                            disk is what that says; model.c finds no rule
 *                            that is broken
 *     serve exits with 1     with one line, which names a rule or QEMU's word;
 *                            if the header was to blame the destination is
 *                            untouched, else it is, or the line says that it
 *                            is partly written; and if model.c finds no fault,
 *                            QEMU neither reads the image
 *     anything else          is a failure, as are too much memory or time, and
 *                            processes that are left
 *
 * `serve' does not look at snapshots, bitmaps, header extensions and the bits
 * that make QEMU look at them.  So QEMU gets a second try without these.
 */

#include "config.h"

#include "image.h"
#include "model.h"
#include "mutate.h"
#include "program.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CPU_LIMIT_S = 10, /* of all processes of one import together */
    MOST_FAILURES = 10,
    FILL = 0xaa,
    OUTPUT = 4096, /* bytes of what a program says */
};

/* A destination is as large as the disk if that is no larger. */
#define MOST_DISK (UINT64_C(16) << 20)

/* All workers count here. */
struct counters {
    atomic_uint_fast64_t next;
    atomic_uint accepted, by_header, by_tables, failed, by_qemu;
    atomic_uint_fast64_t most_memory, most_cpu_ms; /* KiB */
};

struct seed {
    const char *name;
    struct image image;
    struct places places[N_PLACE_KINDS];
};

static struct {
    uint64_t seed, count, only;
    bool has_only, wants_mixture, is_verbose;
    unsigned jobs;
    struct seed *seeds;
    unsigned n_seeds;
    struct counters *counters;
    char dir[256];
    /* MiB, of the largest process: there are three at most.  What we have at
     * the moment of the fork counts, too.
     */
    unsigned memory_limit;
} run = {.seed = 1, .count = 1000, .jobs = 2, .memory_limit = 85};

/* One case. */
struct hostile {
    uint64_t number, disk_size;
    const struct seed *seed;
    struct image image;
    struct story story;
    enum verdict verdict;
    const char *why;
    uint8_t *disk; /* what the destination holds afterwards */
    char said[OUTPUT];
    bool is_length_told, is_failed;
};

__attribute__((format(printf, 2, 3))) static void fail(struct hostile *h,
                                                       const char *format, ...)
{
    char text[OUTPUT + 512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    printf("FAIL seed %" PRIu64 " case %" PRIu64 " (%s): %s\n"
           "     model: %s %s\n     done: %s\n     said: %s\n"
           "     again: tests/hostile/run -s %" PRIu64 " -c %" PRIu64 "\n",
           run.seed, h->number, h->seed->name, text, verdict_names[h->verdict],
           h->why, h->story.text, h->said, run.seed, h->number);
    fflush(stdout);
    h->is_failed = true;
}

/* Only where there is something: most of an image is holes. */
static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    static const uint8_t zeroes[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd == -1 || ftruncate(fd, size) == -1)
        err(EXIT_FAILURE, "%s", path);
    for (size_t at = 0, n; at < size; at += n) {
        n = size - at < sizeof zeroes ? size - at : sizeof zeroes;
        if (memcmp(bytes + at, zeroes, n) != 0 &&
            pwrite(fd, bytes + at, n, at) != (ssize_t)n)
            err(EXIT_FAILURE, "%s", path);
    }
    close(fd);
}

static void write_fill(const char *path, size_t size)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (bytes == NULL || fd == -1)
        err(EXIT_FAILURE, "%s", path);
    memset(bytes, FILL, size);
    if (write(fd, bytes, size) != (ssize_t)size)
        err(EXIT_FAILURE, "%s", path);
    close(fd);
    free(bytes);
}

static void read_said(char *said)
{
    int fd = open("said", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? 0 : read(fd, said, OUTPUT - 1);

    said[n < 0 ? 0 : n] = '\0';
    close(fd);
}

static void note_most(atomic_uint_fast64_t *most, uint64_t value)
{
    uint64_t was = *most;

    while (value > was && !atomic_compare_exchange_weak(most, &was, value))
        ;
}

static void check_usage(struct hostile *h, const struct rusage *usage)
{
    uint64_t ms =
        (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * UINT64_C(1000) +
        (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1000;

    note_most(&run.counters->most_memory, usage->ru_maxrss);
    note_most(&run.counters->most_cpu_ms, ms);
    if ((unsigned long)usage->ru_maxrss / 1024 > run.memory_limit)
        fail(h, "%ld KiB of memory", usage->ru_maxrss);
    if (ms > CPU_LIMIT_S * 1000)
        fail(h, "%" PRIu64 " ms of processor time", ms);
}

/* Reads the destination, or what QEMU made; NULL if it is not that long. */
static uint8_t *read_disk(const char *path, uint64_t size)
{
    struct image disk;

    if (access(path, R_OK) == -1)
        return NULL;
    disk = image_read(path);
    if (disk.size != size) {
        free(disk.bytes);
        return NULL;
    }
    return disk.bytes;
}

/* Without what `serve' does not look at. */
static void write_plain(const struct hostile *h)
{
    struct image plain = {malloc(h->image.size), h->image.size};
    uint64_t length = 72;

    if (plain.bytes == NULL)
        err(EXIT_FAILURE, "image");
    memcpy(plain.bytes, h->image.bytes, plain.size);
    image_put(&plain, fields[F_SNAPSHOTS].at, 4, 0);
    image_put(&plain, fields[F_SNAPSHOTS_OFFSET].at, 8, 0);
    if (image_field(&plain, F_VERSION) == 3) {
        length = image_field(&plain, F_HEADER_LENGTH);
        image_put(&plain, fields[F_COMPATIBLE].at, 8, 0);
        image_put(&plain, fields[F_AUTOCLEAR].at, 8, 0);
    }
    image_put(&plain, length, 8, 0); /* the end of the extensions */
    write_file("image", plain.bytes, plain.size);
    free(plain.bytes);
}

static uint8_t *convert(const struct hostile *h)
{
    const char *argv[] = {"qemu-img", "convert", "-f",        "qcow2", "-O",
                          "raw",      "image",   "converted", NULL};
    struct rusage usage;

    unlink("converted");
    if (program_run(argv, &usage) != 0)
        return NULL;
    return read_disk("converted", h->disk_size);
}

/* What QEMU makes of the image; NULL: nothing. */
static uint8_t *ask_qemu(struct hostile *h)
{
    uint8_t *disk = convert(h);

    if (disk == NULL && h->image.size >= HEADER_END) {
        write_plain(h);
        disk = convert(h);
        write_file("image", h->image.bytes, h->image.size);
    }
    return disk;
}

static void check_accepted(struct hostile *h, uint64_t destination_size)
{
    uint8_t *disk;

    run.counters->accepted++;
    if (h->verdict == BROKEN)
        fail(h, "it was accepted");
    disk = ask_qemu(h);
    if (disk == NULL) {
        fail(h, "it was accepted, and QEMU cannot read it");
        return;
    }
    if (memcmp(disk, h->disk, h->disk_size) != 0)
        fail(h, "the disk is not what QEMU says");
    for (uint64_t at = h->disk_size; at < destination_size; at++)
        if (h->disk[at] != FILL) {
            fail(h, "written behind the end of the disk, at %" PRIu64, at);
            break;
        }
    free(disk);
}

/* What our rules say, and what QEMU does.  Only the end of a line is left
 * open.
 */
static bool is_known_refusal(const char *said)
{
    static const char *const known[] = {
        "source: refused by its header: ",
        "source: not a qcow2 image",
        "source: empty: it ends at file offset 0",
        "source: truncated: it ends at file offset ",
        "source: file offset ", /* twice, both data and metadata, ... */
        "source: disk offset ", /* QEMU's word */
        "source: compressed data at disk offset ",
        "destination: too small: ",
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(said, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

static void check_refused(struct hostile *h, uint64_t destination_size)
{
    static const char us[] = "qcow-tool: serve: ";
    const char *said = h->said + sizeof us - 1;
    size_t length = strlen(h->said);
    bool is_touched = false, is_by_header;
    uint8_t *disk;

    if (strncmp(h->said, us, sizeof us - 1) != 0 ||
        strchr(h->said, '\n') != h->said + length - 1) {
        fail(h, "refused, but not with one line");
        return;
    }
    if (!is_known_refusal(said))
        fail(h, "refused by no known rule");
    is_by_header = strstr(said, "header") != NULL ||
                   strncmp(said, "source: not a", 13) == 0;
    if (is_by_header)
        run.counters->by_header++;
    else
        run.counters->by_tables++;
    for (uint64_t at = 0; at < destination_size && !is_touched; at++)
        is_touched = h->disk[at] != FILL;
    if (is_touched && strstr(said, "partly written\n") == NULL)
        fail(h, "the destination was written, and nothing said so");
    if (is_by_header && is_touched)
        fail(h, "refused by its header, and the destination was written");
    /* A destination is as large as it is; that is no rule of the image. */
    if (h->verdict != SOUND || strncmp(said, "destination", 11) == 0)
        return;
    disk = ask_qemu(h);
    if (disk != NULL)
        fail(h, "refused, and nothing is wrong with it");
    else
        run.counters->by_qemu++;
    free(disk);
}

static void send(struct hostile *h)
{
    uint64_t virtual_size = image_field(&h->image, F_SIZE) / 512 * 512;
    uint64_t destination_size =
        virtual_size <= MOST_DISK ? virtual_size + 4096 : 4096;
    char size[32];
    const char *argv[] = {"qcow-tool",
                          "serve",
                          "--force",
                          "copy",
                          h->is_length_told ? "--source-size" : NULL,
                          size,
                          NULL};
    struct rusage usage = {0};
    int status;

    h->disk_size = virtual_size;
    snprintf(size, sizeof size, "%zu", h->image.size);
    write_file("image", h->image.bytes, h->image.size);
    write_fill("copy", destination_size);
    status = program_run(argv, &usage);
    read_said(h->said);
    h->disk = read_disk("copy", destination_size);
    if (status == -1)
        fail(h, "it hangs");
    else if (h->disk == NULL)
        fail(h, "the destination has another length");
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        check_accepted(h, destination_size);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        check_refused(h, destination_size);
    else
        fail(h, "wait status 0x%x", status);
    if (program_kill_left())
        fail(h, "it left a process");
    check_usage(h, &usage);
    free(h->disk);
}

/* The image of a case that failed goes where it can be looked at. */
static void keep(const struct hostile *h)
{
    char path[512];

    snprintf(path, sizeof path, "%s/failed-%" PRIu64 "-%" PRIu64 ".qcow2",
             run.dir, run.seed, h->number);
    write_file(path, h->image.bytes, h->image.size);
    printf("     image: %s\n", path);
}

static void run_case(uint64_t number)
{
    uint64_t state = (run.seed << 32) + number;
    struct hostile h = {.number = number, .why = ""};

    h.seed = &run.seeds[number % run.n_seeds];
    h.image.size = h.seed->image.size;
    h.image.bytes = calloc(1, h.image.size + MUTATE_ROOM);
    if (h.image.bytes == NULL)
        err(EXIT_FAILURE, "image");
    memcpy(h.image.bytes, h.seed->image.bytes, h.image.size);
    /* The first of each are what they are. */
    if (number >= run.n_seeds)
        mutate(&h.image, h.seed->places, state, &h.story);
    /* Of the others the end of the stream is all that is told. */
    h.is_length_told = number < run.n_seeds || number / run.n_seeds % 2 == 0;
    h.verdict = model_judge(&h.image, h.is_length_told, &h.why);
    send(&h);
    if (number < run.n_seeds && h.verdict == BROKEN)
        fail(&h, "a seed is broken");
    if (run.is_verbose)
        printf("case %" PRIu64 ": %s; %s; %s%s; %s\n", number, h.seed->name,
               h.story.text, verdict_names[h.verdict], h.why,
               h.said[0] == '\0' ? "accepted\n" : h.said);
    if (h.is_failed || run.has_only)
        keep(&h);
    if (h.is_failed)
        run.counters->failed++;
    fflush(stdout);
    free(h.image.bytes);
}

static void work(unsigned job)
{
    char dir[300];

    snprintf(dir, sizeof dir, "%s/%u", run.dir, job);
    if (mkdir(dir, 0700) == -1 || chdir(dir) == -1)
        err(EXIT_FAILURE, "%s", dir);
    setenv("TMPDIR", dir, 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (run.has_only) {
        run_case(run.only);
        return;
    }
    for (;;) {
        uint64_t number = run.counters->next++;

        if (number >= run.count || run.counters->failed >= MOST_FAILURES)
            return;
        run_case(number);
    }
}

static void parse(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "s:n:c:j:km:v")) != -1)
        switch (option) {
        case 's':
            run.seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            run.count = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            run.only = strtoull(optarg, NULL, 10);
            run.has_only = run.is_verbose = true;
            run.jobs = 1;
            break;
        case 'j':
            run.jobs = strtoul(optarg, NULL, 10);
            break;
        case 'k':
            run.wants_mixture = true;
            break;
        case 'm':
            run.memory_limit = strtoul(optarg, NULL, 10);
            break;
        case 'v':
            run.is_verbose = true;
            break;
        default:
            exit(2);
        }
    run.n_seeds = argc - optind;
    if (run.n_seeds == 0)
        errx(2, "no images");
    run.seeds = calloc(run.n_seeds, sizeof *run.seeds);
    if (run.seeds == NULL)
        err(EXIT_FAILURE, "seeds");
    for (unsigned i = 0; i < run.n_seeds; i++) {
        struct seed *seed = &run.seeds[i];
        const char *slash = strrchr(argv[optind + i], '/');

        seed->name = slash == NULL ? argv[optind + i] : slash + 1;
        seed->image = image_read(argv[optind + i]);
        image_find_places(&seed->image, seed->places);
    }
}

static int finish(void)
{
    const struct counters *c = run.counters;
    unsigned total = c->accepted + c->by_header + c->by_tables;

    printf("%u images of seed %" PRIu64 ": %u accepted, %u refused by their "
           "headers, %u by their tables (%u of these only by QEMU); %u "
           "failed; the most for one: %" PRIu64 " KiB in a process, %" PRIu64
           " ms\n",
           total, run.seed, (unsigned)c->accepted, (unsigned)c->by_header,
           (unsigned)c->by_tables, (unsigned)c->by_qemu, (unsigned)c->failed,
           (uint64_t)c->most_memory, (uint64_t)c->most_cpu_ms);
    if (c->failed > 0)
        return EXIT_FAILURE;
    if (run.wants_mixture &&
        (total < run.count || c->accepted < total / 8 ||
         c->by_header < total / 16 || c->by_tables < total / 8)) {
        printf("the images have lost their point\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    int status, worst = EXIT_SUCCESS;
    sigset_t chld;

    parse(argc, argv);
    run.counters = mmap(NULL, sizeof *run.counters, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(run.dir, sizeof run.dir, "%s/hostile-XXXXXX",
             tmp == NULL ? "/tmp" : tmp);
    if (run.counters == MAP_FAILED || mkdtemp(run.dir) == NULL)
        err(EXIT_FAILURE, "%s", run.dir);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    signal(SIGPIPE, SIG_DFL);
    for (unsigned job = 0; job < run.jobs; job++) {
        pid_t pid = fork();

        if (pid == -1)
            err(EXIT_FAILURE, "fork");
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(job);
            exit(EXIT_SUCCESS);
        }
    }
    while (wait(&status) > 0)
        if (status != 0)
            worst = EXIT_FAILURE;
    return finish() == EXIT_SUCCESS ? worst : EXIT_FAILURE;
}
