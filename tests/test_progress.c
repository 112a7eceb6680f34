/* What progress says without a terminal: when, and how much is left. */
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/noise.h"
#include "run/progress.h"

/* The seventh of ten visits to one case, `minutes` after the run began, six made before; what it
 * says on stderr when its last line is `since_s` old. */
static void say(double minutes, double since_s, int64_t budget_s, char *out, size_t size)
{
    struct visit visits[10];
    struct plan plan = {.visits = visits, .count = 10};
    for (int i = 0; i < 10; i++)
        visits[i] = (struct visit){.kernel = kernel_find("rnn/hoisted", "packed"),
                                   .dims = {.S = 4, .H = 8, .A = 1, .B = 1}};
    const struct settings settings = {.samples = 1, .grid.budget_s = budget_s};
    struct progress progress;
    progress_start(&progress, &plan, &settings);
    for (int i = 0; i < 10; i++)
        progress_expect(&progress, &visits[i]);
    progress.done = 0.6 * progress.total;
    progress.visits = 6;
    progress.terminal = false;
    progress.started_s = 1e-9 * monotonic_ns() - 60.0 * minutes;
    progress.printed_s = 1e-9 * monotonic_ns() - since_s;

    FILE *file = tmpfile();
    const int before = dup(STDERR_FILENO);
    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    progress_advance(&progress, &plan, 6);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void a_line_per_minute(void **state)
{
    (void)state;
    char text[512];
    say(7.0, 50.0, 0, text, sizeof(text));
    assert_string_equal(text, "");
    say(7.0, 60.5, 0, text, sizeof(text));
    assert_non_null(strstr(text, "seqbench: 7/10 round 1  "));
}

/* Seven of ten in seven minutes: three minutes for the other three. */
static void rate_and_remaining_time(void **state)
{
    (void)state;
    char text[512];
    say(7.0, 100.0, 0, text, sizeof(text));
    assert_string_equal(text, "seqbench: 7/10 round 1  0.02 cases/s  3:00 left  "
                              "rnn/hoisted packed S=4 H=8\n");
    say(0.0583, 100.0, 0, text, sizeof(text)); /* 3.5 s */
    assert_non_null(strstr(text, "  2.0 cases/s  0:0"));
}

/* A run ends with its budget, whatever was planned. */
static void no_more_time_is_left_than_of_the_budget(void **state)
{
    (void)state;
    static const struct {
        int64_t budget_s;
        const char *left;
    } cases[] = {{8 * 60, "  1:00 left"}, {11 * 60, "  3:00 left"}, {60, "  0:00 left"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        say(7.0, 100.0, cases[i].budget_s, text, sizeof(text));
        assert_non_null(strstr(text, cases[i].left));
    }
}

static void minutes(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0.0, "0:00"}, {59.4, "0:59"}, {59.6, "1:00"}, {605.0, "10:05"}, {7200.0, "120:00"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[MINUTES_TEXT];
        assert_string_equal(progress_minutes(cases[i].seconds, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_per_minute),
        cmocka_unit_test(rate_and_remaining_time),
        cmocka_unit_test(no_more_time_is_left_than_of_the_budget),
        cmocka_unit_test(minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
