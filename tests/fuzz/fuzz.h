/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A fuzz target's entry, and a main for where there is no libFuzzer. */

/* Each target has LLVMFuzzerTestOneInput, and aborts where an input makes it
 * do what it must not.  `make fuzz' runs all of them for a while.
 *
 * With -DFUZZ_STANDALONE a target is a program that takes
 *
 *     FILE...                   inputs to try, once each, or
 *     -seed=N                   what the random inputs depend on, 1
 *     -runs=N                   how many of them at most, no limit
 *     -max_total_time=SECONDS   for how long, 10
 *
 * which are libFuzzer's own options.  An input that fails is left in the
 * file fuzz-failure of the working directory.
 *
 * libFuzzer itself finds more: `make fuzz-libfuzzer'.  A target writes its
 * seeds for it into the directory FUZZ_WRITE_SEEDS, and does nothing else.
 */

#ifndef QT_FUZZ_H
#define QT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold, whatever the input is. */
#define MUST(condition)                                                       \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,        \
                    #condition);                                              \
            abort();                                                          \
        }                                                                     \
    } while (0)

/* An input that gets far, from which random ones are made. */
struct fuzz_seed {
    const char *data;
    size_t size;
};

/* Of a string literal, which may have zeroes in it. */
#define FUZZ_SEED(literal)                                                    \
    {                                                                         \
        literal, sizeof(literal) - 1                                          \
    }

/* As files seed-0, seed-1 and so on. */
static inline int fuzz_write_seeds(const char *dir,
                                   const struct fuzz_seed *seeds,
                                   size_t n_seeds)
{
    for (size_t i = 0; i < n_seeds; i++) {
        char path[4096];
        FILE *file;

        snprintf(path, sizeof path, "%s/seed-%zu", dir, i);
        file = fopen(path, "w");
        if (file == NULL ||
            fwrite(seeds[i].data, 1, seeds[i].size, file) != seeds[i].size ||
            fclose(file) != 0) {
            perror(path);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

#ifdef FUZZ_STANDALONE

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

enum { FUZZ_LONGEST = 4096 };

static uint8_t fuzz_input[FUZZ_LONGEST];
static size_t fuzz_size;
static uint64_t fuzz_state;

static uint64_t fuzz_random(uint64_t below)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return (fuzz_state >> 16) % below;
}

/* A number that is often just too large. */
static uint64_t fuzz_number(void)
{
    uint64_t number = UINT64_C(1) << fuzz_random(64);

    switch (fuzz_random(4)) {
    case 0:
        return number + fuzz_random(3) - 1;
    case 1:
        return -number;
    case 2:
        return fuzz_random(number);
    default:
        return fuzz_random(20);
    }
}

/* Makes room for length bytes at at, or what there is. */
static size_t fuzz_insert(size_t at, size_t length)
{
    if (length > FUZZ_LONGEST - fuzz_size)
        length = FUZZ_LONGEST - fuzz_size;
    memmove(fuzz_input + at + length, fuzz_input + at, fuzz_size - at);
    fuzz_size += length;
    return length;
}

static void fuzz_mutate(const struct fuzz_seed *seeds, size_t n_seeds)
{
    const struct fuzz_seed *other = &seeds[fuzz_random(n_seeds)];
    size_t at = fuzz_random(fuzz_size + 1);
    size_t length = fuzz_random(1 + fuzz_random(64));
    uint64_t number = fuzz_number();
    uint8_t copy[64];

    if (length > fuzz_size - at)
        length = fuzz_size - at;
    switch (fuzz_random(7)) {
    case 0: /* a bit */
        if (at < fuzz_size)
            fuzz_input[at] ^= 1 << fuzz_random(8);
        break;
    case 1: /* a byte */
        if (at < fuzz_size)
            fuzz_input[at] = fuzz_random(256);
        break;
    case 2: /* a number, big-endian */
        for (size_t width = (size_t)2 << fuzz_random(3); width > 0; width--)
            if (at < fuzz_size)
                fuzz_input[at++] = number >> 8 * (width - 1);
        break;
    case 3: /* something less */
        memmove(fuzz_input + at, fuzz_input + at + length,
                fuzz_size - at - length);
        fuzz_size -= length;
        break;
    case 4: /* something twice */
        memcpy(copy, fuzz_input + at, length);
        at = fuzz_random(fuzz_size + 1);
        memcpy(fuzz_input + at, copy, fuzz_insert(at, length));
        break;
    case 5: /* a part of a seed */
        length = fuzz_random(other->size + 1);
        memcpy(fuzz_input + at, other->data + other->size - length,
               fuzz_insert(at, length));
        break;
    default: /* the end is missing */
        if (fuzz_random(8) == 0)
            fuzz_size = at;
        break;
    }
}

/* Input number run of a seed depends on nothing else. */
static void fuzz_make_input(uint64_t seed, uint64_t run,
                            const struct fuzz_seed *seeds, size_t n_seeds)
{
    const struct fuzz_seed *first;

    fuzz_state = (seed * UINT64_C(0x9e3779b97f4a7c15) + run + 1) *
                 UINT64_C(0xbf58476d1ce4e5b9);
    if (fuzz_state == 0)
        fuzz_state = 1;
    first = &seeds[fuzz_random(n_seeds)];
    fuzz_size = first->size < FUZZ_LONGEST ? first->size : FUZZ_LONGEST;
    memcpy(fuzz_input, first->data, fuzz_size);
    for (uint64_t n = run == 0 ? 0 : 1 + fuzz_random(8); n > 0; n--)
        fuzz_mutate(seeds, n_seeds);
}

static void fuzz_keep_failure(void)
{
    FILE *file = fopen("fuzz-failure", "w");

    if (file == NULL)
        return;
    fwrite(fuzz_input, 1, fuzz_size, file);
    fclose(file);
    fprintf(stderr, "the input is in the file fuzz-failure\n");
}

static void fuzz_aborted(int sig)
{
    fuzz_keep_failure();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* From memory of its own, with nothing behind it. */
static void fuzz_try(void)
{
    uint8_t *input = malloc(fuzz_size > 0 ? fuzz_size : 1);

    if (input == NULL)
        exit(EXIT_FAILURE);
    memcpy(input, fuzz_input, fuzz_size);
    LLVMFuzzerTestOneInput(input, fuzz_size);
    free(input);
}

static int fuzz_try_file(const char *path)
{
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        perror(path);
        return EXIT_FAILURE;
    }
    fuzz_size = fread(fuzz_input, 1, FUZZ_LONGEST, file);
    fclose(file);
    fuzz_try();
    return EXIT_SUCCESS;
}

static int fuzz_main(int argc, char **argv, const struct fuzz_seed *seeds,
                     size_t n_seeds)
{
    uint64_t seed = 1, runs = UINT64_MAX, seconds = 10, run = 0;
    int n_files = 0, status = EXIT_SUCCESS;
    time_t begun = time(NULL);

    signal(SIGABRT, fuzz_aborted);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(fuzz_keep_failure);
#endif
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "-seed=%" SCNu64, &seed) == 1 ||
            sscanf(argv[i], "-runs=%" SCNu64, &runs) == 1 ||
            sscanf(argv[i], "-max_total_time=%" SCNu64, &seconds) == 1)
            continue;
        n_files++;
        if (fuzz_try_file(argv[i]) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    }
    if (n_files > 0)
        return status;
    for (; run < runs && (uint64_t)(time(NULL) - begun) < seconds; run++) {
        fuzz_make_input(seed, run, seeds, n_seeds);
        fuzz_try();
    }
    printf("%" PRIu64 " runs from seed %" PRIu64 ", nothing found\n", run,
           seed);
    return EXIT_SUCCESS;
}

#define FUZZ_MAIN(seeds)                                                      \
    int main(int argc, char **argv)                                           \
    {                                                                         \
        return fuzz_main(argc, argv, seeds,                                   \
                         sizeof(seeds) / sizeof((seeds)[0]));                 \
    }

#else /* libFuzzer has a main, which calls this first */

int LLVMFuzzerInitialize(int *argc, char ***argv);

#define FUZZ_MAIN(seeds)                                                      \
    int LLVMFuzzerInitialize(int *argc, char ***argv)                         \
    {                                                                         \
        const char *dir = getenv("FUZZ_WRITE_SEEDS");                         \
                                                                              \
        (void)argc;                                                           \
        (void)argv;                                                           \
        if (dir != NULL)                                                      \
            exit(fuzz_write_seeds(dir, seeds,                                 \
                                  sizeof(seeds) / sizeof((seeds)[0])));       \
        return 0;                                                             \
    }

#endif

#endif
