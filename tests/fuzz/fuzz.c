/*
 * fuzz.c - libFuzzer entry for all that parses text or files from outside. The first byte chooses
 * the parser, the rest is its input. `make fuzz` runs it; test_fuzz.c replays its seeds.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases/grid.h"
#include "cases/plan.h"
#include "check/case_folder.h"
#include "check/npy.h"
#include "run/history.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_list(const char *text, size_t size)
{
    struct sizes sizes;
    struct err err;
    int64_t count;
    (void)size;
    if (parse_sizes(text, "S", dimensions[DIM_S].max, &sizes, &err) && sizes.count < 1)
        abort();
    parse_whole(text, "rounds", 1, ROUNDS_MAX, &count, &err);
}

static void fuzz_grid(const char *text, size_t size)
{
    struct grid grid;
    struct plan plan;
    struct err err;
    (void)size;
    if (!grid_parse(text, "g", &grid, &err))
        return;
    grid.rounds = 1;
    if (plan_make(&grid, (struct selection){"rnn/literal,transformer/full,rnn.step", "openblas"},
                  1 << 20, 1, NULL, &plan, &err))
        plan_free(&plan);
}

static void fuzz_npy(const char *text, size_t size)
{
    struct npy npy;
    struct err err;
    if (npy_parse((const unsigned char *)text, size, "f.npy", &npy, &err) && npy.elements > 0) {
        volatile unsigned char last = npy.data[npy.elements * 4 - 1];
        (void)last;
    }
}

static void fuzz_description(const char *text, size_t size)
{
    struct description description;
    struct err err;
    (void)size;
    description_parse(text, "case.json", &description, &err);
}

/* The text as a file; its path goes to path. */
static int as_file(const char *text, size_t size, char path[64])
{
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void fuzz_plan(const char *text, size_t size)
{
    char path[64];
    struct plan plan;
    struct err err;
    const int fd = as_file(text, size, path);
    if (plan_read(path, &plan, &err))
        plan_free(&plan);
    close(fd);
}

static void fuzz_samples(const char *text, size_t size)
{
    char path[64];
    struct history history;
    struct err err;
    const int fd = as_file(text, size, path);
    if (history_repair(path, &err) && history_read(path, &history, &err)) {
        history_clock_ghz(&history);
        history_free(&history);
    }
    close(fd);
}

static void (*const targets[])(const char *text, size_t size) = {
    fuzz_list, fuzz_grid, fuzz_npy, fuzz_description, fuzz_plan, fuzz_samples,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size); /* of exactly this size, so that an overrun is seen */
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    targets[data[0] % (sizeof(targets) / sizeof(targets[0]))](text, size - 1);
    free(text);
    return 0;
}
