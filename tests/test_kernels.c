/* What check does not see at its small shapes: long sequences, and what the inputs are. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "measure/pin.h"

static struct bench_case make_case(const char *name, struct dims dims, struct arena *arena)
{
    struct err err;
    struct bench_case c;
    const struct kernel *kernel = kernel_find(name);
    assert_non_null(kernel);
    assert_true(arena_map(case_bytes(kernel, dims), arena, &err));
    case_place(kernel, dims, arena, &c);
    case_draw(&c, 1);
    case_prepare(&c);
    return c;
}

/* Neither exploded nor gone to nothing: the data decides the speed of a recurrence. */
static void outputs_are_normal(const struct bench_case *c)
{
    for (int t = 0; t < c->tensor_count; t++) {
        const struct placed *output = &c->tensor[t];
        const int64_t n = tensor_elements(&output->spec);
        double squares = 0.0;
        if (output->spec.role != OUTPUT)
            continue;
        for (int64_t k = 0; k < n; k++) {
            const float y = output->data[k];
            if (fpclassify(y) != FP_NORMAL && y != 0.0f)
                fail_msg("%s: %s[%ld] is %g", c->kernel->name, output->spec.name, (long)k,
                         (double)y);
            squares += (double)y * (double)y;
        }
        if (squares < 1e-4 * (double)n || squares > 100.0 * (double)n)
            fail_msg("%s: mean square of %s is %g", c->kernel->name, output->spec.name,
                     squares / (double)n);
    }
}

static bool carries_state(const struct kernel *kernel)
{
    return strcmp(kernel_kind(kernel), "layer") == 0 && kernel->layer->state &&
           !kernel->layer->one_token;
}

static void long_sequences_stay_normal(void **state)
{
    (void)state;
    const struct dims dims = {10000, 64, 1};
    int seen = 0;
    for (int i = 0; kernels[i]; i++) {
        struct arena arena;
        if (!carries_state(kernels[i]))
            continue;
        assert_null(kernel_refuses(kernels[i], dims));
        struct bench_case c = make_case(kernels[i]->name, dims, &arena);
        case_run(&c);
        outputs_are_normal(&c);
        case_release(&c);
        arena_unmap(&arena);
        seen++;
    }
    assert_true(seen > 0);
}

static void assert_same_tensors(const struct bench_case *a, const struct bench_case *b)
{
    const double tolerance = fmax(2e-5, kernel_tolerance(a->kernel) + kernel_tolerance(b->kernel));
    for (int t = 0; t < a->tensor_count; t++) {
        const float *one = a->tensor[t].data, *two = b->tensor[t].data;
        const int64_t n = tensor_elements(&a->tensor[t].spec);
        double largest = 1.0, difference = 0.0;
        for (int64_t e = 0; e < n; e++) {
            largest = fmax(largest, fabs((double)one[e]));
            difference = fmax(difference, fabs((double)one[e] - (double)two[e]));
        }
        if (difference > (a->tensor[t].spec.role == OUTPUT ? tolerance * largest : 0.0))
            fail_msg("%s and %s differ by %g in %s", a->kernel->name, b->kernel->name, difference,
                     a->tensor[t].spec.name);
    }
}

/* Every kernel of a layer gets the same inputs and parameters, and agrees on a long sequence. */
static void variants_agree(void **state)
{
    (void)state;
    for (int i = 0; kernels[i]; i++) {
        const struct layer *layer = kernels[i]->layer;
        if (layer->cells == CELLS_OWN || (i > 0 && kernels[i - 1]->layer == layer))
            continue; /* the first of a layer's kernels is compared with those that follow */
        const struct dims dims = {layer->cells == CELLS_PER_STEP ? 1 : 2048, 96, 2};
        struct arena one, two;
        struct bench_case first = make_case(kernels[i]->name, dims, &one);
        case_run(&first);
        for (int k = i + 1; kernels[k] && kernels[k]->layer == layer; k++) {
            struct bench_case other = make_case(kernels[k]->name, dims, &two);
            case_run(&other);
            assert_same_tensors(&first, &other);
            case_release(&other);
            arena_unmap(&two);
        }
        case_release(&first);
        arena_unmap(&one);
    }
}

/* Both sigmoids of minLSTM are 0 in float there; f/(f+i) is not 0/0. */
static void gates_far_below_zero_share_by_their_difference(void **state)
{
    (void)state;
    enum { S = 3, H = 19 };
    struct arena arena;
    struct bench_case c = make_case("minlstm/hoisted", (struct dims){S, H, 1}, &arena);
    float *W = c.tensor[1].data, *b = c.tensor[2].data, *y = c.tensor[3].data;
    memset(W, 0, 3 * H * H * sizeof(float));
    for (int k = 0; k < H; k++) {
        b[k] = -200.0f;
        b[H + k] = k % 2 ? -203.0f : -400.0f;
        b[2 * H + k] = 1.0f;
    }
    case_run(&c);
    for (int s = 0; s < S; s++)
        for (int k = 0; k < H; k++) {
            const double take = k % 2 ? 1.0 / (1.0 + exp(3.0)) : 0.0; /* i/(f+i), S times */
            assert_true(fabs((double)y[s * H + k] - (1.0 - pow(1.0 - take, s + 1))) < 1e-6);
        }
    case_release(&c);
    arena_unmap(&arena);
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
        cmocka_unit_test(gates_far_below_zero_share_by_their_difference),
        cmocka_unit_test(arrays_are_aligned_and_apart),
        cmocka_unit_test(inputs_are_spread_over_their_range),
        cmocka_unit_test(seed_decides_the_inputs),
        cmocka_unit_test(flush_to_zero_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
