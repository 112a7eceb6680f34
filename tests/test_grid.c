/* Lists, grids and plans. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/kernel.h"
#include "cases/plan.h"

static void assert_list(const char *text, int count, const int64_t *want)
{
    struct sizes sizes;
    struct err err;
    if (!parse_sizes(text, "S", dimensions[DIM_S].max, &sizes, &err))
        fail_msg("'%s': %s", text, err.text);
    assert_int_equal(sizes.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(sizes.v[i], want[i]);
}

static void lists_are_read(void **state)
{
    (void)state;
    assert_list("64", 1, (int64_t[]){64});
    assert_list("64,128", 2, (int64_t[]){64, 128});
    assert_list("16:4096:x2", 9, (int64_t[]){16, 32, 64, 128, 256, 512, 1024, 2048, 4096});
    assert_list("64:512:+64", 8, (int64_t[]){64, 128, 192, 256, 320, 384, 448, 512});
    assert_list("16:100:x3,7,8:10:+1", 6, (int64_t[]){16, 48, 7, 8, 9, 10});
    assert_list("5:5:x2", 1, (int64_t[]){5});
    assert_list("1048575:1048576:+1048576", 1, (int64_t[]){1048575});
}

static void bad_lists_are_refused_by_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"", "is not a size"},
        {"0", "0 is outside 1..1048576"},
        {"-1", "'-1' is not a size"},
        {"+1", "'+1' is not a size"},
        {"x", "'x' is not a size"},
        {"64x", "'64x' is not a size"},
        {"6.5", "'6.5' is not a size"},
        {"64,", "'' is not a size"},
        {",64", "'' is not a size"},
        {"64 128", "'64 128' is not a size"},
        {"1048577", "1048577 is outside"},
        {"99999999999999999999999", "'99999999999999999999999' is outside"},
        {"64,64", "64 stands twice"},
        {"16:4096", "is not a size"},
        {"16:4096:2", "is not a size"},
        {"16:4096:x2:1", "is not a size"},
        {"16:4096:x1", "does not advance"},
        {"16:4096:+0", "does not advance"},
        {"16:4096:x", "is not a size"},
        {"64:16:x2", "ends before it starts"},
        {"1:1048577:x2", "1048577 is outside"},
        {"1:100:+1", "more than 64 values"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sizes sizes;
        struct err err = {0};
        assert_false(parse_sizes(bad[i].text, "S", dimensions[DIM_S].max, &sizes, &err));
        if (!strstr(err.text, bad[i].said) || strncmp(err.text, "S: ", 3) != 0)
            fail_msg("'%s' got: %s", bad[i].text, err.text);
    }
}

static void grids_are_read(void **state)
{
    (void)state;
    struct grid grid;
    struct err err;
    assert_true(grid_parse("# mine\n\nS 16:64:x2 # three\r\n\tH 64,96\nheads 2,4\nrounds 7", "mine",
                           &grid, &err));
    assert_int_equal(grid.sizes[DIM_S].count, 3);
    assert_int_equal(grid.sizes[DIM_H].v[1], 96);
    assert_int_equal(grid.sizes[DIM_A].count, 2);
    assert_int_equal(grid.rounds, 7);
}

static void bad_grids_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"S 16\nH 0\n", "g:2: H: 0 is outside"},
        {"S 16\nH 64\n\nwidth 3\n", "g:4: unknown key 'width'"},
        {"S\n", "g:1: 'S' needs exactly one value"},
        {"S 16 32\n", "g:1: 'S' needs exactly one value"},
        {"S 16\nH 64\nrounds none\n", "g:3: rounds: 'none' is not a whole number"},
        {"S 16\nH 64\nrounds 0\n", "g:3: rounds: '0' is not"},
        {"case lstm S=16\n", "g:1: a case needs S=N and H=N"},
        {"case\n", "g:1: 'case' needs the name of a layer"},
        {"case lstm S=16 H=64 S=32\n", "g:1: the case has two sizes S"},
        {"case lstm S=16 H=64\ncase lstm H=64 S=16\n", "g:2: this case is there already"},
        {"case lstm S=16 H=x\n", "g:1: H"},
        {"case lstm S=16 H=64 width=3\n", "g:1: 'width': the sizes of a case"},
        {"S 16\n", "g: a grid needs a line `S LIST` and a line `H LIST`"},
        {"", "g: a grid needs"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct grid grid;
        struct err err = {0};
        assert_false(grid_parse(bad[i].text, "g", &grid, &err));
        if (!strstr(err.text, bad[i].said))
            fail_msg("got: %s", err.text);
    }
}

static void default_grid_is_what_the_readme_says(void **state)
{
    (void)state;
    struct grid grid;
    struct err err;
    assert_true(grid_load("default", &grid, &err));
    assert_int_equal(grid.sizes[DIM_S].v[0], 16);
    assert_int_equal(grid.sizes[DIM_S].v[grid.sizes[DIM_S].count - 1], 4096);
    assert_int_equal(grid.sizes[DIM_H].v[0], 64);
    assert_int_equal(grid.sizes[DIM_H].v[grid.sizes[DIM_H].count - 1], 1024);
    bool has_384 = false, has_768 = false;
    for (int i = 0; i < grid.sizes[DIM_H].count; i++) {
        has_384 |= grid.sizes[DIM_H].v[i] == 384;
        has_768 |= grid.sizes[DIM_H].v[i] == 768;
    }
    assert_true(has_384 && has_768);
    assert_true(grid_load("quick", &grid, &err) && grid_load("full", &grid, &err));
}

static void head_size_is_64_where_hid_size_allows(void **state)
{
    (void)state;
    assert_int_equal(default_heads(1), 1);
    assert_int_equal(default_heads(63), 1);
    assert_int_equal(default_heads(64), 1);
    assert_int_equal(default_heads(65), 5);
    assert_int_equal(default_heads(96), 2);
    assert_int_equal(default_heads(512), 8);
    assert_int_equal(default_heads(127), 127);
}

static struct plan make_plan(const char *globs, const char *grid_text, uint64_t seed)
{
    struct grid grid;
    struct err err;
    struct plan plan;
    assert_true(grid_parse(grid_text, "g", &grid, &err));
    assert_true(
        plan_make(&grid, (struct selection){globs, "openblas"}, 1 << 20, seed, NULL, &plan, &err));
    return plan;
}

static void every_round_visits_every_case_once(void **state)
{
    (void)state;
    struct plan plan =
        make_plan("lstm/literal,lstm/fused,lstm/hoisted", "S 16,32\nH 64,96\nrounds 4\n", 5);
    assert_int_equal(plan.count, 4 * 3 * 4);
    for (int64_t i = 0; i < plan.count; i++) {
        int found[4] = {0};
        assert_int_equal(plan.visits[i].order, i);
        assert_int_equal(plan.visits[i].round, i / 12);
        for (int64_t k = 0; k < plan.count; k++)
            found[plan.visits[k].round] += same_case(&plan.visits[i], &plan.visits[k]);
        for (int round = 0; round < 4; round++)
            assert_int_equal(found[round], 1);
    }
    plan_free(&plan);
}

static int same_places(const struct plan *a, int64_t from_a, const struct plan *b, int64_t from_b,
                       int64_t count)
{
    int same = 0;
    for (int64_t i = 0; i < count; i++)
        same += same_case(&a->visits[from_a + i], &b->visits[from_b + i]);
    return same;
}

static void seed_decides_the_order(void **state)
{
    (void)state;
    const char grid[] = "S 16:1024:x2\nH 64,96\nrounds 2\n";
    struct plan one = make_plan("rnn/*", grid, 1), again = make_plan("rnn/*", grid, 1);
    struct plan two = make_plan("rnn/*", grid, 2);
    assert_int_equal(same_places(&one, 0, &again, 0, one.count), one.count);
    assert_true(same_places(&one, 0, &two, 0, one.count) < one.count / 2);
    assert_true(same_places(&one, 0, &one, one.count / 2, one.count / 2) <
                one.count / 4); /* rounds differ */
    plan_free(&one);
    plan_free(&again);
    plan_free(&two);
}

static void steps_are_planned_once_per_hid_size(void **state)
{
    (void)state;
    struct plan plan = make_plan("rnn.step", "S 16,32,64\nH 64,96\nrounds 1\n", 1);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.visits[0].dims.S, 1);
    plan_free(&plan);
}

static void read_roof_covers_four_times_the_last_cache(void **state)
{
    (void)state;
    struct plan plan = make_plan("roof/read", "S 16\nH 64\nrounds 1\n", 1);
    int64_t least = INT64_MAX, most = 0;
    for (int64_t i = 0; i < plan.count; i++) {
        const int64_t bytes = plan.visits[i].dims.S * plan.visits[i].dims.H * 4;
        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    assert_int_equal(least, 16 << 10);
    assert_int_equal(most, 4 << 20); /* make_plan says the last level has 1 MiB */
    plan_free(&plan);
}

static void heads_are_for_layers_that_have_them(void **state)
{
    (void)state;
    struct plan plan =
        make_plan("rnn/literal,transformer/full", "S 16\nH 64\nheads 2,4\nrounds 1\n", 1);
    assert_int_equal(plan.count, 3);
    plan_free(&plan);
    struct grid grid;
    struct err err = {0};
    assert_true(grid_parse("S 16\nH 64,96\nheads 5\n", "g", &grid, &err));
    assert_false(plan_make(&grid, (struct selection){"transformer/full", "openblas"}, 0, 1, NULL,
                           &plan, &err));
    assert_non_null(strstr(err.text, "H=64: not divisible by heads=5"));
    assert_true(plan_make(&grid, (struct selection){"rnn/*", "openblas"}, 0, 1, NULL, &plan, &err));
    plan_free(&plan);
}

/* Each engine makes a kernel of its own; what takes none of those asked for is named with why. */
static void engines_are_an_axis(void **state)
{
    (void)state;
    static const struct {
        const char *globs, *engines;
        int64_t cases;
        const char *note;
    } plans[] = {
        {"lstm/hoisted", "openblas", 1, NULL},
        {"lstm/hoisted", "openblas,packed", 2, NULL},
        {"lstm/hoisted", "packed,packed-bf16,packed-int8", 3, NULL},
        {"lstm/hoisted,lstm/joined", "packed-int8", 1,
         "left out with engine packed-int8: lstm/joined: its matrix is made of"},
        {"lstm/hoisted,lstm/panels", "packed", 1, "left out with engine packed: lstm/panels: its"},
        {"lstm/hoisted,lstm/registers", "openblas", 1,
         "left out with engine openblas: lstm/registers: it"},
        {"transformer.softmax,roof/fma", "packed", 2, NULL},
    };
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct grid grid;
        struct err err;
        struct plan plan;
        char *notes = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&notes, &length);
        assert_true(grid_parse("S 16\nH 64\nrounds 1\n", "g", &grid, &err));
        assert_true(plan_make(&grid, (struct selection){plans[i].globs, plans[i].engines}, 0, 1,
                              out, &plan, &err));
        fclose(out);
        assert_int_equal(plan.count, plans[i].cases);
        if (plans[i].note)
            assert_non_null(strstr(notes, plans[i].note));
        else
            assert_int_equal(length, 0);
        plan_free(&plan);
        free(notes);
    }
    struct err err = {0};
    assert_false(selection_check((struct selection){"lstm/*", "none,cublas"}, &err));
    assert_non_null(strstr(err.text, "engine: 'cublas' is no engine"));
}

static void plan_survives_its_file(void **state)
{
    (void)state;
    char path[] = "/tmp/seqbench-plan-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    struct plan plan = make_plan("*", "S 16,32\nH 64\nrounds 2\n", 9), read;
    struct err err;
    plan_write(&plan, file);
    fclose(file);
    assert_true(plan_read(path, &read, &err));
    assert_int_equal(read.count, plan.count);
    assert_int_equal(same_places(&plan, 0, &read, 0, plan.count), plan.count);
    plan_free(&read);

    file = fopen(path, "a");
    fputs("999999,0,rnn/none,1,1,1\n", file);
    fclose(file);
    assert_false(plan_read(path, &read, &err));
    unlink(path);
    plan_free(&plan);
}

/* Single cases: the shapes themselves, of all variants of their layer. */
static void cases_are_planned_as_they_stand(void **state)
{
    (void)state;
    struct plan plan = make_plan("lstm/*,gru/*,lstm.step",
                                 "case lstm S=31 H=128 input=257\ncase gru S=5 H=24\nrounds 1", 1);
    bool has_lstm = false;
    for (int64_t i = 0; i < plan.count; i++) {
        const struct dims d = plan.visits[i].dims;
        const bool is_lstm = strncmp(plan.visits[i].kernel->name, "lstm/", 5) == 0;
        assert_true(is_lstm ? d.S == 31 && d.H == 128 && d.In == 257
                            : d.S == 5 && d.H == 24 && d.In == 0);
        has_lstm |= is_lstm;
    }
    assert_true(has_lstm);
    plan_free(&plan);
}

static void bad_cases_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"case ltsm S=1 H=8\n", "g: case ltsm: there is no such layer"},
        {"case lstm S=1 H=8 heads=2\n", "g: case lstm: the layer has no size heads"},
        {"case lstm S=1 H=8\nS 4\nH 8\n", "g: a grid has cases or lists: S is given"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct grid grid;
        struct err err;
        struct plan plan;
        assert_true(grid_parse(bad[i].text, "g", &grid, &err));
        assert_false(
            plan_make(&grid, (struct selection){"lstm/*", "openblas"}, 0, 1, NULL, &plan, &err));
        if (!strstr(err.text, bad[i].want))
            fail_msg("'%s' is not in '%s'", bad[i].want, err.text);
    }
    struct grid grid;
    struct err err;
    struct plan plan;
    assert_true(grid_parse("case lstm S=1 H=8\n", "g", &grid, &err));
    grid.keys = 1;
    assert_false(
        plan_make(&grid, (struct selection){"lstm/*", "openblas"}, 0, 1, NULL, &plan, &err));
    assert_non_null(strstr(err.text, "g: a stream takes lists, not cases"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(bad_lists_are_refused_by_value),
        cmocka_unit_test(grids_are_read),
        cmocka_unit_test(cases_are_planned_as_they_stand),
        cmocka_unit_test(bad_cases_are_refused),
        cmocka_unit_test(bad_grids_name_the_line),
        cmocka_unit_test(default_grid_is_what_the_readme_says),
        cmocka_unit_test(head_size_is_64_where_hid_size_allows),
        cmocka_unit_test(every_round_visits_every_case_once),
        cmocka_unit_test(seed_decides_the_order),
        cmocka_unit_test(steps_are_planned_once_per_hid_size),
        cmocka_unit_test(read_roof_covers_four_times_the_last_cache),
        cmocka_unit_test(heads_are_for_layers_that_have_them),
        cmocka_unit_test(engines_are_an_axis),
        cmocka_unit_test(plan_survives_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
