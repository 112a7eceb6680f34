/* samples.csv: one row per sample, whole or not at all. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cases/kernel.h"
#include "run/append.h"
#include "run/samples.h"
#include "vmath.h"

#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)
#define LANES TEXT(VMATH_LANES)

static const struct sample good = {
    .visit = {NULL, {.S = 32, .H = 64, .A = 2, .B = 1}, 17, 3},
    .index = 1,
    .iterations = 20,
    .wall_ns = 11000000.4,
    .cpu_ns = 10999000.0,
    .started_utc = "2026-01-02T03:04:05.678Z",
    .cpu_before = 1,
    .cpu_after = 1,
    .noise = {4, 5, 6, 7, UNAVAILABLE, 2.5, 2.6, {100, UNAVAILABLE, 102, 103}},
    .sentinel_ns = 5000.5,
    .sentinel_ratio = 1.01,
    .output = {8, 9, 0xdeadbeef},
    .flags = FLAG_SWITCH | FLAG_CLOCK,
};

static char *contents(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void new_path(char path[64])
{
    strcpy(path, "/tmp/seqbench-samples-XXXXXX");
    assert_non_null(mkdtemp(path));
    strcat(path, "/samples.csv");
}

static void remove_path(char path[64])
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

#define NOT_GIVEN "0,0,0,0," /* sizes that only some layers have */

static void rows_hold_what_was_measured(void **state)
{
    (void)state;
    char path[64];
    struct err err;
    struct sample sample = good;
    sample.visit.kernel = kernel_find("transformer/tiled", "packed");
    new_path(path);
    assert_true(samples_create(path, &err));
    assert_false(samples_create(path, &err)); /* never twice */
    const int fd = append_open(path, &err);
    assert_true(fd >= 0 && samples_append(fd, &sample, &err));
    sample.error = "went wrong";
    assert_true(samples_append(fd, &sample, &err));
    close(fd);
    char *text = contents(path);
    const char want[] =
        "kernel,kind,layer,variant,engine,"
#define DIMENSION(field, column, ...) #column ","
#include "dims.def"
#undef DIMENSION
        "round,cache,lanes,"
        "sample,order,iterations,"
        "wall_ns,cpu_ns,started_utc,cpu_before,cpu_after,voluntary_switches,involuntary_switches,"
        "minor_faults,major_faults,steal_ticks,clock_ghz_before,clock_ghz_after,cycles,"
        "instructions,l2_misses,last_level_misses,sentinel_ns,sentinel_ratio,subnormals,nonfinite,"
        "checksum,flags,flops,elementwise_flops,exps,logs,sigmoids,tanhs,rsqrts,parameters,bytes,"
        "streamed_bytes,resident_bytes,status,error\n"
        "transformer/tiled,layer,transformer,tiled,packed,32,64,2,1," NOT_GIVEN "3,hot," LANES
        ",1,17,20,11000000,10999000,"
        "2026-01-02T03:04:05.678Z,1,1,4,5,6,7,unavailable,2.5000,2.6000,100,unavailable,102,103,"
        "5000.5,1.0100,8,9,00000000deadbeef,switch+clock,3407872,51136,2048,0,0,0,64,49984,216320,"
        "0,";
    assert_memory_equal(text, want, strlen(want));
    assert_non_null(strstr(text, ",ok,\n"));
    assert_non_null(strstr(text,
                           "\ntransformer/tiled,layer,transformer,tiled,packed,32,64,2,1," NOT_GIVEN
                           "3,hot," LANES ",1,17,,,,,,"
                           ",,,,,,,,,,,,,,,,,,,,,,,,,,,,"
                           ",failed,\"went wrong\"\n"));
    free(text);
    remove_path(path);
}

/* A file size limit stands for the full disk. */
static void row_that_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    char path[64];
    struct err err;
    struct sample sample = good;
    sample.visit.kernel = kernel_find("rnn/literal", NULL);
    new_path(path);
    assert_true(samples_create(path, &err));
    const int fd = append_open(path, &err);
    assert_true(samples_append(fd, &sample, &err));
    const off_t whole = lseek(fd, 0, SEEK_END);

    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)whole + 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_false(samples_append(fd, &sample, &err));
    setrlimit(RLIMIT_FSIZE, &before);

    assert_int_equal(lseek(fd, 0, SEEK_END), whole);
    assert_non_null(strstr(err.text, "all rows before it are there"));
    assert_true(samples_append(fd, &sample, &err));
    close(fd);
    remove_path(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_what_was_measured),
        cmocka_unit_test(row_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
