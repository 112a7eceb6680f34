/* Does check see a kernel that is wrong? Each one here is wrong in one way. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "check/check.h"

enum { X, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "s", .shape = {d.H}};
    return 1;
}

static struct cost cost(struct dims d)
{
    (void)d;
    return (struct cost){.multiply_adds = 0};
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[Y][i] = 2.0 * t[X][i];
}

static const struct layer layer = {.name = "twice",
                                   .equation = "y = 2 x",
                                   .tensors = tensors,
                                   .cost = cost,
                                   .reference = reference,
                                   .tolerance = 1e-6};

static int64_t elements(const struct instance *in)
{
    return in->dims.S * in->dims.H;
}

static void right(const struct instance *in)
{
    for (int64_t i = 0; i < elements(in); i++)
        in->t[Y][i] = 2.0f * in->t[X][i];
}

static void slightly_wrong(const struct instance *in)
{
    right(in);
    in->t[Y][elements(in) - 1] += 1e-5f;
}

static void forgets_the_last(const struct instance *in)
{
    for (int64_t i = 0; i < elements(in) - 1; i++)
        in->t[Y][i] = 2.0f * in->t[X][i];
}

static void writes_past_output(const struct instance *in)
{
    right(in);
    in->t[Y][elements(in)] = 0.0f;
}

static void writes_before_scratch(const struct instance *in)
{
    right(in);
    in->scratch[0][-1] = 0.0f;
}

static void writes_past_scratch(const struct instance *in)
{
    right(in);
    in->scratch[0][in->dims.H] = 0.0f;
}

static void writes_to_input(const struct instance *in)
{
    right(in);
    in->t[X][0] = 0.5f;
}

static void depends_on_last_run(const struct instance *in)
{
    static float drift;
    right(in);
    in->t[Y][0] *= 1.0f + drift;
    drift += 2e-7f;
}

static void reads_old_scratch(const struct instance *in)
{
    right(in);
    in->t[Y][0] += 0.0f * in->scratch[0][0];
}

static struct verdict verdict_of(void (*run)(const struct instance *))
{
    const struct algorithm algorithm = {
        .name = "twice/test", .layer = &layer, .scratch = scratch, .run = run};
    const struct kernel kernel = {algorithm.name, &algorithm, &layer, NULL, "none"};
    const struct dims dims = {.S = 3, .H = 5, .A = 1, .B = 1};
    struct arena arena;
    struct err err;
    struct bench_case c;
    assert_true(arena_map(case_bytes(&kernel, dims), &arena, &err));
    case_place(&kernel, dims, &arena, &c);
    const struct verdict verdict = check_case(&c);
    arena_unmap(&arena);
    return verdict;
}

static void right_kernel_passes(void **state)
{
    (void)state;
    const struct verdict verdict = verdict_of(right);
    assert_true(verdict_passed(&verdict));
}

static void assert_caught(void (*run)(const struct instance *), const char *tensor)
{
    const struct verdict verdict = verdict_of(run);
    assert_false(verdict_passed(&verdict));
    assert_string_equal(verdict.tensor, tensor);
}

static void wrong_kernels_fail(void **state)
{
    (void)state;
    assert_caught(slightly_wrong, "y");
    assert_caught(forgets_the_last, "y");
    assert_caught(writes_past_output, "y");
    assert_caught(writes_before_scratch, "y"); /* whose guard zone comes before */
    assert_caught(writes_past_scratch, "s");
    assert_caught(writes_to_input, "x");
    assert_caught(depends_on_last_run, "y");
    assert_caught(reads_old_scratch, "y");
}

static void error_is_relative_to_large_outputs_only(void **state)
{
    (void)state;
    const float small[] = {0.5f, 0.25f}, large[] = {200.0f, 100.0f}, bad[] = {NAN, 0.0f};
    assert_true(fabs(relative_error(small, (double[]){0.5, 0.35}, 2) - 0.1) < 1e-12);
    assert_true(fabs(relative_error(large, (double[]){200.0, 110.0}, 2) - 0.05) < 1e-12);
    assert_true(isinf(relative_error(bad, (double[]){0.0, 0.0}, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernel_passes),
        cmocka_unit_test(wrong_kernels_fail),
        cmocka_unit_test(error_is_relative_to_large_outputs_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
