/* Evidence around a sample: what is counted, what is unavailable, what the output was. */
#include "test.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cases/kernel.h"
#include "measure/noise.h"
#include "measure/output.h"
#include "measure/pin.h"

static struct noise around(void (*work)(void))
{
    struct noise_meter meter;
    struct noise_mark before, after;
    struct noise noise;
    noise_open(0, &meter);
    noise_before(&meter, &before);
    work();
    noise_after(&meter, &after);
    noise_between(&before, &after, &noise);
    noise_close(&meter);
    return noise;
}

enum { PAGES = 64 };

static void touch_fresh_pages(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory =
        mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
    for (int i = 0; i < PAGES; i++)
        *(volatile unsigned char *)(memory + (size_t)i * page) = 1;
    munmap(memory, PAGES * page);
}

static void sleep_three_times(void)
{
    const struct timespec ms = {0, 1000000};
    for (int i = 0; i < 3; i++)
        nanosleep(&ms, NULL);
}

static void add_a_while(void)
{
    for (int i = 0; i < 10; i++)
        noise_clock_ghz();
}

static void faults_and_switches_are_counted(void **state)
{
    (void)state;
    assert_true(around(touch_fresh_pages).minor_faults >= PAGES);
    assert_true(around(sleep_three_times).voluntary_switches >= 3);
    const struct noise noise = around(add_a_while);
    assert_true(noise.major_faults >= 0 && noise.involuntary_switches >= 0);
    assert_true(noise.clock_ghz_before > 0.0 && noise.clock_ghz_after > 0.0);
}

/* True on any machine: a counter that works has moved, any other says so. */
static void counters_move_or_are_unavailable(void **state)
{
    (void)state;
    const struct noise noise = around(add_a_while);
    for (int i = CYCLES; i <= INSTRUCTIONS; i++)
        assert_true(noise.counter[i] == UNAVAILABLE || noise.counter[i] > 8192);
    for (int i = L2_MISSES; i < COUNTERS; i++)
        assert_true(noise.counter[i] >= UNAVAILABLE);
}

/* No file can be opened: everything that needs one is unavailable, the rest still counts. */
static void nothing_opens(void **state)
{
    (void)state;
    struct rlimit before, none;
    struct noise_meter meter;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    noise_open(0, &meter);
    const struct noise noise = around(sleep_three_times);
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_not_equal(meter.refusal[i], 0);
        assert_int_equal(noise.counter[i], UNAVAILABLE);
    }
    noise_close(&meter);
    assert_int_equal(noise.steal_ticks, UNAVAILABLE);
    assert_true(noise.voluntary_switches >= 3);
}

static void between_two_marks(void **state)
{
    (void)state;
    const struct noise_mark before = {
        .involuntary_switches = 5,
        .major_faults = 7,
        .steal_ticks = 100,
        .clock_ghz = 2.5,
        .counter = {{1000, 500, 500}, {2000, 500, 500}, {30, 500, 500}, {UNAVAILABLE, 0, 0}},
    };
    struct noise_mark after = {
        .involuntary_switches = 9,
        .major_faults = 7,
        .steal_ticks = 103,
        .clock_ghz = 2.25,
        .counter = {{4000, 9500, 9500}, {9000, 9500, 9500}, {20, 9500, 9500}, {UNAVAILABLE, 0, 0}},
    };
    struct noise noise;
    noise_between(&before, &after, &noise);
    assert_int_equal(noise.involuntary_switches, 4);
    assert_int_equal(noise.major_faults, 0);
    assert_int_equal(noise.steal_ticks, 3);
    assert_true(noise.clock_ghz_before == 2.5 && noise.clock_ghz_after == 2.25);
    assert_int_equal(noise.counter[CYCLES], 3000);
    assert_int_equal(noise.counter[INSTRUCTIONS], 7000);
    assert_int_equal(noise.counter[L2_MISSES], UNAVAILABLE); /* went backwards */
    assert_int_equal(noise.counter[LAST_LEVEL_MISSES], UNAVAILABLE);

    after.counter[CYCLES].running_ns = 6500; /* shared with another user of the counters */
    after.steal_ticks = UNAVAILABLE;
    noise_between(&before, &after, &noise);
    assert_int_equal(noise.counter[CYCLES], UNAVAILABLE);
    assert_int_equal(noise.steal_ticks, UNAVAILABLE);
}

static void counts_as_text(void **state)
{
    (void)state;
    char text[COUNT_TEXT];
    assert_string_equal(noise_text(UNAVAILABLE, text), "unavailable");
    assert_string_equal(noise_text(0, text), "0");
    assert_string_equal(noise_text(INT64_MAX, text), "9223372036854775807");
}

static void steal_from_stat(void **state)
{
    (void)state;
    static const struct {
        const char *stat;
        int cpu, columns;
        int64_t steal;
    } cases[] = {
        {"cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 1 2 3 4 5 6 7 80 0 0\nintr 5\n",
         1, 8, 80},
        {"cpu  9 9 9 9 9 9 9 9\ncpu1 1 2 3 4 5 6 7 8\ncpu11 1 2 3 4 5 6 7 88\n", 11, 8, 88},
        {"cpu0 1 2 3 4 5 6 7 8\ncpu2 1 2 3 4 5 6 7 8\n", 1, 0, UNAVAILABLE}, /* offline */
        {"cpu0 1 2 3 4 5 6 7\nintr 1 2 3\n", 0, 7, UNAVAILABLE},             /* no column */
        {"cpu0 1 2 3 4\n", 0, 4, UNAVAILABLE},                               /* very old */
        {"cpu0 1 2 3 4 5 6 7 12", 0, 0, UNAVAILABLE},                        /* cut */
        {"cpu0 1 2 3 4 5 6 x 8\n", 0, 6, UNAVAILABLE},                       /* not a number */
        {"cpu0 1 2 3 4 5 6 -7 8\n", 0, 6, UNAVAILABLE},                      /* negative */
        {"cpu0 1 2 3 4 5 6 7 99999999999999999999\n", 0, 8, INT64_MAX},      /* too large */
        {"intr cpu0 1 2 3 4 5 6 7 8\n", 0, 0, UNAVAILABLE},                  /* not its line */
        {"", 0, 0, UNAVAILABLE},
        {NULL, 0, 0, UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ticks[STAT_COLUMNS];
        assert_int_equal(stat_ticks(cases[i].stat, cases[i].cpu, ticks), cases[i].columns);
        assert_int_equal(ticks[STAT_STEAL], cases[i].steal);
    }
}

static uint64_t checksum(const float *data, int64_t n)
{
    struct output_evidence evidence = {0};
    output_add(data, n, &evidence);
    return evidence.checksum;
}

static void flip(float *value, int bit)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof(bits));
    bits ^= (uint32_t)1 << bit;
    memcpy(value, &bits, sizeof(bits));
}

static void swap(float *a, float *b)
{
    const float was = *a;
    *a = *b;
    *b = was;
}

enum { N = 9001 }; /* odd, and more than two blocks */

static float *ramp(void)
{
    float *data = test_malloc(N * sizeof(float));
    for (int i = 0; i < N; i++)
        data[i] = (float)(i + 1);
    return data;
}

static void checksum_sees_one_bit(void **state)
{
    (void)state;
    static const int places[] = {0, 1, 2, 7, 8, 4095, 4096, 8191, 8999, N - 1};
    float *data = ramp();
    const uint64_t want = checksum(data, N);
    assert_true(checksum(data, N) == want);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (int bit = 0; bit < 32; bit++) {
            flip(&data[places[i]], bit);
            assert_true(checksum(data, N) != want);
            flip(&data[places[i]], bit);
        }
    flip(&data[1], 31); /* two signs, both the top bit of a word, in one lane */
    flip(&data[9], 31);
    assert_true(checksum(data, N) != want);
    test_free(data);
}

static void checksum_sees_order_and_length(void **state)
{
    (void)state;
    static const int pairs[][2] = {{0, 1}, {0, 2}, {0, 8}, {3, 11}, {0, 4096}, {5, N - 1}};
    float *data = ramp();
    const uint64_t want = checksum(data, N);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        swap(&data[pairs[i][0]], &data[pairs[i][1]]);
        assert_true(checksum(data, N) != want);
        swap(&data[pairs[i][0]], &data[pairs[i][1]]);
    }
    assert_true(checksum(data, N - 1) != want);
    const float zeros[4] = {0.0f};
    assert_true(checksum(zeros, 3) != checksum(zeros, 4));

    struct output_evidence ab = {0}, ba = {0};
    output_add(data, 10, &ab);
    output_add(data + 10, 10, &ab);
    output_add(data + 10, 10, &ba);
    output_add(data, 10, &ba);
    assert_true(ab.checksum != ba.checksum);
    test_free(data);
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* As in the measuring process: with flush-to-zero on, compares see no subnormals. */
static void unusual_values_are_counted(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits;
        int subnormal, nonfinite;
    } values[] = {
        {0x00000000, 0, 0}, {0x80000000, 0, 0}, /* zeros */
        {0x00000001, 1, 0}, {0x80000001, 1, 0}, {0x007FFFFF, 1, 0}, {0x807FFFFF, 1, 0},
        {0x00800000, 0, 0}, {0x80800000, 0, 0}, {0x3F800000, 0, 0}, {0x7F7FFFFF, 0, 0},
        {0x7F800000, 0, 1}, {0xFF800000, 0, 1}, /* infinities */
        {0x7F800001, 0, 1}, {0x7FC00000, 0, 1}, {0xFFFFFFFF, 0, 1},
    };
    enum { VALUES = sizeof(values) / sizeof(values[0]) };
    float all[VALUES];
    int subnormals = 0, nonfinite = 0;
    pin_set_flush_to_zero(true);
    for (int i = 0; i < VALUES; i++) {
        struct output_evidence evidence = {0};
        all[i] = from_bits(values[i].bits);
        output_add(&all[i], 1, &evidence);
        assert_int_equal(evidence.subnormals, values[i].subnormal);
        assert_int_equal(evidence.nonfinite, values[i].nonfinite);
        subnormals += values[i].subnormal;
        nonfinite += values[i].nonfinite;
    }
    struct output_evidence evidence = {0};
    output_add(all, VALUES, &evidence);
    pin_set_flush_to_zero(false);
    assert_int_equal(evidence.subnormals, subnormals);
    assert_int_equal(evidence.nonfinite, nonfinite);
}

/* Only outputs count; the same run gives the same checksum, one bit another. */
static void evidence_of_a_case(void **state)
{
    (void)state;
    struct arena arena;
    struct err err;
    struct bench_case c;
    const struct kernel *kernel = kernel_find("lstm/literal", NULL);
    const struct dims dims = {.S = 5, .H = 12, .A = 1, .B = 1};
    assert_non_null(kernel);
    assert_true(arena_map(case_bytes(kernel, dims), &arena, &err));
    case_place(kernel, dims, &arena, &c);
    case_draw(&c, 1);
    case_poison(&c);
    assert_true(output_examine(&c).nonfinite > 0);
    case_run(&c);
    const struct output_evidence want = output_examine(&c);
    assert_int_equal(want.subnormals, 0);
    assert_int_equal(want.nonfinite, 0);
    case_poison(&c);
    case_run(&c);
    assert_true(output_examine(&c).checksum == want.checksum);
    for (int i = 0; i < c.tensor_count; i++) {
        flip(c.tensor[i].data, 0);
        assert_true((output_examine(&c).checksum == want.checksum) ==
                    (c.tensor[i].spec.role != OUTPUT));
        flip(c.tensor[i].data, 0);
    }
    arena_unmap(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_and_switches_are_counted),
        cmocka_unit_test(counters_move_or_are_unavailable),
        cmocka_unit_test(nothing_opens),
        cmocka_unit_test(between_two_marks),
        cmocka_unit_test(counts_as_text),
        cmocka_unit_test(steal_from_stat),
        cmocka_unit_test(checksum_sees_one_bit),
        cmocka_unit_test(checksum_sees_order_and_length),
        cmocka_unit_test(unusual_values_are_counted),
        cmocka_unit_test(evidence_of_a_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
