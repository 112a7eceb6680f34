/* What check does not see at its small shapes: long sequences, and what the inputs are. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "case.h"
#include "pin.h"
#include "registry.h"

static struct bench_case make_case(const char *name, struct dims dims, struct arena *arena)
{
    struct err err;
    struct bench_case c;
    const struct kernel *kernel = kernel_find(name);
    assert_non_null(kernel);
    assert_true(arena_map(case_bytes(kernel, dims), arena, &err));
    case_place(kernel, dims, arena, &c);
    case_draw(&c, 1);
    return c;
}

/* Neither saturated, exploded nor gone to nothing: the data decides the speed of a recurrence. */
static void long_sequences_stay_normal(void **state)
{
    (void)state;
    const char *const recurrent[] = {"rnn/hoisted", "lstm/hoisted"};
    for (size_t i = 0; i < sizeof(recurrent) / sizeof(recurrent[0]); i++) {
        struct arena arena;
        const struct dims dims = {10000, 64, 1};
        const struct bench_case c = make_case(recurrent[i], dims, &arena);
        case_run(&c);
        const float *y = c.tensor[4].data; /* y in both layers */
        assert_string_equal(c.tensor[4].spec.name, "y");
        double squares = 0.0;
        for (int64_t k = 0; k < dims.S * dims.H; k++) {
            assert_true(fpclassify(y[k]) == FP_NORMAL || y[k] == 0.0f);
            assert_true(fabsf(y[k]) < 1.0f);
            squares += (double)y[k] * (double)y[k];
        }
        assert_true(squares / (double)(dims.S * dims.H) > 1e-3);
        assert_true(squares / (double)(dims.S * dims.H) < 0.25);
        arena_unmap(&arena);
    }
}

/* Every kernel of a layer gets the same inputs and parameters, and agrees on a longer sequence. */
static void variants_agree(void **state)
{
    (void)state;
    const struct dims dims = {300, 96, 2};
    for (int i = 0; kernels[i]; i++)
        for (int k = i + 1; kernels[k]; k++) {
            if (kernels[i]->layer != kernels[k]->layer)
                continue;
            struct arena one, two;
            const struct bench_case a = make_case(kernels[i]->name, dims, &one);
            const struct bench_case b = make_case(kernels[k]->name, dims, &two);
            case_run(&a);
            case_run(&b);
            for (int t = 0; t < a.tensor_count; t++)
                for (int64_t e = 0; e < tensor_elements(&a.tensor[t].spec); e++)
                    assert_true(fabsf(a.tensor[t].data[e] - b.tensor[t].data[e]) <=
                                (a.tensor[t].spec.role == OUTPUT ? 2e-5f : 0.0f));
            arena_unmap(&one);
            arena_unmap(&two);
        }
}

static void arrays_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    const struct bench_case c = make_case("transformer/full", (struct dims){7, 12, 2}, &arena);
    for (int i = 0; i < c.tensor_count; i++) {
        assert_int_equal((uintptr_t)c.tensor[i].data % 64, 0);
        if (i > 0)
            assert_true(
                (const char *)c.tensor[i].data -
                    (const char *)(c.tensor[i - 1].data + tensor_elements(&c.tensor[i - 1].spec)) >=
                64);
    }
    arena_unmap(&arena);
}

static void inputs_are_spread_over_their_range(void **state)
{
    (void)state;
    struct arena arena;
    const struct bench_case c = make_case("rnn/literal", (struct dims){500, 64, 1}, &arena);
    const float *x = c.tensor[0].data;
    const int n = 500 * 64;
    double mean = 0.0, squares = 0.0, neighbours = 0.0;
    for (int i = 0; i < n; i++) {
        assert_true(x[i] >= -1.0f && x[i] < 1.0f);
        mean += (double)x[i] / n;
        squares += (double)x[i] * (double)x[i] / n;
        neighbours += i ? (double)x[i] * (double)x[i - 1] / n : 0.0;
    }
    assert_true(fabs(mean) < 0.02 && fabs(squares - 1.0 / 3.0) < 0.02 && fabs(neighbours) < 0.02);
    arena_unmap(&arena);
}

static void seed_decides_the_inputs(void **state)
{
    (void)state;
    struct arena arena, other;
    struct bench_case a = make_case("lstm/fused", (struct dims){3, 16, 1}, &arena);
    struct bench_case b = make_case("lstm/fused", (struct dims){3, 16, 1}, &other);
    assert_memory_equal(a.tensor[1].data, b.tensor[1].data, 64 * 16 * sizeof(float));
    case_draw(&b, 2);
    assert_memory_not_equal(a.tensor[1].data, b.tensor[1].data, 64 * 16 * sizeof(float));
    arena_unmap(&arena);
    arena_unmap(&other);
}

static void flush_to_zero_switches(void **state)
{
    (void)state;
    volatile float tiny = 0x1p-126f;
    if (!pin_set_flush_to_zero(true))
        skip();
    assert_true(tiny * 0.5f == 0.0f);
    pin_set_flush_to_zero(false);
    assert_true(tiny * 0.5f > 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sequences_stay_normal),
        cmocka_unit_test(variants_agree),
        cmocka_unit_test(arrays_are_aligned_and_apart),
        cmocka_unit_test(inputs_are_spread_over_their_range),
        cmocka_unit_test(seed_decides_the_inputs),
        cmocka_unit_test(flush_to_zero_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
