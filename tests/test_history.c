/* What a run reads back from its samples: medians, intervals, half lines. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/kernel.h"
#include "run/history.h"
#include "run/round.h"

static const char header[] = "order,sample,iterations,wall_ns,clock_ghz_before,clock_ghz_after,"
                             "sentinel_ns,flags,status,error\n";

/* A file of the header and these rows; its path is written over path. */
static void make_file(char path[64], const char *rows)
{
    strcpy(path, "/tmp/seqbench-history-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fprintf(file, "%s%s", header, rows);
    fclose(file);
}

static struct history read_rows(const char *rows)
{
    char path[64];
    struct history history;
    struct err err;
    make_file(path, rows);
    if (!history_read(path, &history, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return history;
}

static void rows_are_read_by_column_name(void **state)
{
    (void)state;
    struct history h = read_rows("3,0,10,5000,2.4,2.6,200,,ok,\n"
                                 "4,0,1,700.5,3.0,3.0,210,switch+clock,ok,\n"
                                 "5,0,,,,,,,failed,\"ended, by signal 9\"\n");
    assert_int_equal(h.count, 3);
    assert_int_equal(h.records[0].order, 3);
    assert_int_equal(h.records[0].iterations, 10);
    assert_true(h.records[0].wall_ns == 5000.0 && fabs(h.records[0].clock_ghz - 2.5) < 1e-12);
    assert_true(!h.records[0].flagged && h.records[1].flagged && !h.records[1].failed);
    assert_true(h.records[2].failed);
    assert_true(history_sentinel_ns(&h) == 205.0); /* the failed row has none */
    assert_true(fabs(history_clock_ghz(&h) - 2.75) < 1e-12);
    history_free(&h);
}

static void refused(const char *rows, const char *words)
{
    char path[64];
    struct history history;
    struct err err;
    make_file(path, rows);
    if (history_read(path, &history, &err))
        fail_msg("taken: %s", rows);
    unlink(path);
    if (!strstr(err.text, words))
        fail_msg("'%s' where '%s' is wanted", err.text, words);
}

static void malformed_rows_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "1,2,3\n",
        "3,0,10,5000,2.4,2.6,200,,ok,",                /* cut */
        "3,0,10,5000,2.4,2.6,200,,maybe,\n",           /* neither ok nor failed */
        "3,0,10,1e308,2.4,2.6,200,,ok,\n",             /* longer than anything runs */
        "3,0,10,nan,2.4,2.6,200,,ok,\n",               /* no number */
        "3,0,10,-5000,2.4,2.6,200,,ok,\n",             /* backwards */
        "3,0,0,5000,2.4,2.6,200,,ok,\n",               /* no iteration */
        "3,0,10,5000,2.4,2.6,inf,,ok,\n",              /* no number */
        "3,0,10,5000,0,2.6,200,,ok,\n",                /* no clock */
        "-3,0,10,5000,2.4,2.6,200,,ok,\n",             /* no visit */
        "3,,10,5000,2.4,2.6,200,,ok,\n",               /* which sample? */
        "99999999999999999999,0,,,,,,,failed,\"x\"\n", /* no visit */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(bad[i], ":2: not a row of samples");
}

static void repeated_rows_are_named(void **state)
{
    (void)state;
    refused("3,0,10,5000,2.4,2.6,200,,ok,\n4,0,10,5000,2.4,2.6,200,,ok,\n"
            "3,1,10,5000,2.4,2.6,200,,ok,\n3,0,10,5000,2.4,2.6,200,,ok,\n",
            ":5: this sample of its visit is there already");
    refused("3,0,,,,,,,failed,\"x\"\n3,0,,,,,,,failed,\"x\"\n", ":3: this sample");
}

static void failed_rows_are_no_good_rows(void **state)
{
    (void)state;
    struct history h = read_rows("1,0,,,,,,,failed,\"x\"\n2,0,10,5000,2.4,2.6,200,,ok,\n"
                                 "3,0,10,5000,2.4,2.6,200,clock,ok,\n");
    assert_int_equal(history_good(&h), 2);
    history_free(&h);
}

static void half_a_line_is_cut_off(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } files[] = {
        {"3,0,10,5000,2.4,2.6,200,,ok,\n", "3,0,10,5000,2.4,2.6,200,,ok,\n"},
        {"3,0,10,5000,2.4,2.6,200,,ok,\n4,0,10,50", "3,0,10,5000,2.4,2.6,200,,ok,\n"},
        {"3", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64], text[512], want[512];
        struct err err;
        make_file(path, files[i].before);
        assert_true(history_repair(path, &err));
        FILE *file = fopen(path, "r");
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        snprintf(want, sizeof(want), "%s%s", header, files[i].after);
        assert_string_equal(text, want);
        unlink(path);
    }
}

/* Two cases in three rounds; the orders of the second round are swapped. */
static struct plan two_cases(void)
{
    static struct visit visits[6];
    const struct kernel *kernel = kernel_find("rnn/literal", NULL);
    for (int i = 0; i < 6; i++) {
        const int64_t seq_len = (i == 2 || i == 3) ? 17 - i % 2 : 16 + i % 2;
        visits[i] = (struct visit){kernel, {.S = seq_len, .H = 8, .A = 1, .B = 1}, i, i / 2};
    }
    return (struct plan){visits, 6};
}

static void estimates_use_clean_rows_of_their_case(void **state)
{
    (void)state;
    const struct plan plan = two_cases();
    struct estimate e[2];
    struct history h = read_rows("0,0,10,1000,2,2,1,,ok,\n"
                                 "0,1,10,1020,2,2,1,,ok,\n"
                                 "1,0,1,700,2,2,1,,ok,\n"
                                 "2,0,1,900,2,2,1,,ok,\n" /* order 2 is the second case */
                                 "3,0,10,1010,2,2,1,,ok,\n"
                                 "3,1,10,99999,2,2,1,switch,ok,\n"
                                 "5,0,,,,,,,failed,\"x\"\n");
    history_estimate(&h, &plan, 2, e);
    assert_int_equal(e[0].rounds, 2);
    assert_int_equal(e[0].clean, 3);
    assert_int_equal(e[0].flagged, 1);
    assert_true(e[0].median_ns == 101.0 && !e[0].failed);
    assert_true(e[0].half_width > 0.0 && e[0].half_width <= 0.0101);
    assert_true(e[1].median_ns == 800.0 && e[1].failed);
    assert_true(e[1].half_width > 0.1);
    history_free(&h);
}

static void one_round_says_nothing_of_the_interval(void **state)
{
    (void)state;
    const struct plan plan = two_cases();
    struct estimate e[2];
    struct history h = read_rows("0,0,10,1000,2,2,1,,ok,\n0,1,10,1000,2,2,1,,ok,\n");
    history_estimate(&h, &plan, 2, e);
    assert_true(isinf(e[0].half_width) && isinf(e[1].half_width));
    assert_int_equal(e[1].clean, 0);
    history_free(&h);
}

static void visits_are_complete_when_they_have_their_samples(void **state)
{
    (void)state;
    const struct settings settings = {.samples = 2};
    struct history h = read_rows("0,0,10,1000,2,2,1,,ok,\n0,1,10,1000,2,2,1,,ok,\n"
                                 "1,0,10,1000,2,2,1,,ok,\n"
                                 "2,0,1,200000000,2,2,1,,ok,\n"
                                 "3,0,,,,,,,failed,\"x\"\n"
                                 "4,0,10,1000,2,2,1,clock,ok,\n4,1,10,1000,2,2,1,,ok,\n"
                                 "5,0,10,1000,2,2,1,clock,ok,\n5,1,10,1000,2,2,1,clock,ok,\n"
                                 "5,2,10,1000,2,2,1,clock,ok,\n5,3,10,1000,2,2,1,clock,ok,\n");
    assert_true(visit_is_complete(&h, 0, &settings));
    assert_false(visit_is_complete(&h, 1, &settings));
    assert_true(visit_is_complete(&h, 2, &settings)); /* a long run is one sample */
    assert_true(visit_is_complete(&h, 3, &settings)); /* failed: never again */
    assert_false(visit_is_complete(&h, 4, &settings));
    assert_true(visit_is_complete(&h, 5, &settings)); /* all retries were disturbed */
    assert_false(visit_is_complete(&h, 6, &settings));
    history_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_by_column_name),
        cmocka_unit_test(malformed_rows_are_named),
        cmocka_unit_test(repeated_rows_are_named),
        cmocka_unit_test(failed_rows_are_no_good_rows),
        cmocka_unit_test(half_a_line_is_cut_off),
        cmocka_unit_test(estimates_use_clean_rows_of_their_case),
        cmocka_unit_test(one_round_says_nothing_of_the_interval),
        cmocka_unit_test(visits_are_complete_when_they_have_their_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
