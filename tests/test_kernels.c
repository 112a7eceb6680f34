/* What check does not see at its small shapes: long sequences, and what the inputs are. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "measure/pin.h"

static struct bench_case make_case(const char *name, const char *engine, struct dims dims,
                                   struct arena *arena)
{
    struct err err;
    struct bench_case c;
    const struct kernel *kernel = kernel_find(name, engine);
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
        if (!case_is_result(output))
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
    const struct dims dims = {.S = 10000, .H = 64, .A = 1, .B = 1};
    int seen = 0;
    for (int i = 0; kernel_at(i); i++) {
        struct arena arena;
        if (!carries_state(kernel_at(i)))
            continue;
        assert_null(kernel_refuses(kernel_at(i), dims));
        struct bench_case c =
            make_case(kernel_at(i)->name, kernel_at(i)->engine_name, dims, &arena);
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
        if (difference > (case_is_result(&a->tensor[t]) ? tolerance * largest : 0.0))
            fail_msg("%s and %s differ by %g in %s", a->kernel->name, b->kernel->name, difference,
                     a->tensor[t].spec.name);
    }
}

/* Every kernel of a layer gets the same inputs and parameters, and agrees on a long sequence. */
static void kernels_of_a_layer_agree(void **state)
{
    (void)state;
    const struct layer *seen = NULL;
    for (int i = 0; kernel_at(i); i++) {
        const struct layer *layer = kernel_at(i)->layer;
        const int64_t S = layer->cells == CELLS_PER_STEP ? 1 : 2048;
        const struct dims dims = {.S = S, .H = 96, .A = layer->uses & USES(A) ? 2 : 1, .B = 1};
        struct arena one, two;
        if (layer->cells == CELLS_OWN || layer == seen || kernel_refuses(kernel_at(i), dims))
            continue; /* the first of a layer's kernels is compared with all others */
        seen = layer;
        struct bench_case first =
            make_case(kernel_at(i)->name, kernel_at(i)->engine_name, dims, &one);
        case_run(&first);
        for (int k = i + 1; kernel_at(k); k++) {
            if (kernel_at(k)->layer != layer || kernel_refuses(kernel_at(k), dims) ||
                kernel_approximates(kernel_at(k)))
                continue;
            struct bench_case other =
                make_case(kernel_at(k)->name, kernel_at(k)->engine_name, dims, &two);
            case_run(&other);
            assert_same_tensors(&first, &other);
            case_release(&other);
            arena_unmap(&two);
        }
        case_release(&first);
        arena_unmap(&one);
    }
    assert_non_null(seen);
}

/* The tensor of a name; -1: there is none. */
static int tensor_named(const struct bench_case *c, const char *name)
{
    for (int t = 0; t < c->tensor_count; t++)
        if (strcmp(c->tensor[t].spec.name, name) == 0)
            return t;
    return -1;
}

static void copy_tensor(const struct placed *from, const struct placed *to)
{
    assert_int_equal(tensor_elements(&from->spec), tensor_elements(&to->spec));
    memcpy(to->data, from->data, (size_t)tensor_elements(&from->spec) * sizeof(float));
}

/* The layer's output of a sequence is that of its step, token by token with the state carried. */
static void steps_in_a_row_are_the_sequence(void **state)
{
    (void)state;
    enum { S = 2048, H = 36 };
    static const struct {
        const char *layer, *sequence, *from[4], *to[4]; /* the state goes from `to` to `from` */
    } layers[] = {
        {"rnn", "hoisted", {"h0"}, {"y"}},
        {"lstm", "hoisted", {"h0", "c0"}, {"y", "c_last"}},
        {"gru", "hoisted", {"h0"}, {"y"}},
        {"mingru", "hoisted", {"h0"}, {"y"}},
        {"mamba", "scan", {"window", "h0"}, {"window_last", "h_last"}},
        {"gated_deltanet", "chunked", {"window", "S0"}, {"window_last", "S_last"}},
        {"rwkv7", "recurrent", {"x_before", "S0"}, {"x_last", "S_last"}},
        {"mlstm", "chunked", {"C0", "n0", "m0"}, {"C_last", "n_last", "m_last"}},
        {"slstm", "literal", {"y0", "c0", "n0", "m0"}, {"y", "c_last", "n_last", "m_last"}},
        {"rglru", "scan", {"window", "h0"}, {"window_last", "h_last"}},
        {"ssru", "scan", {"c0"}, {"c_last"}},
        {"short_conv", "shifted", {"window"}, {"window_last"}},
    };
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        char step_name[64], sequence_name[64];
        snprintf(step_name, sizeof(step_name), "%s.step", layers[i].layer);
        snprintf(sequence_name, sizeof(sequence_name), "%s/%s", layers[i].layer,
                 layers[i].sequence);
        const struct kernel *kernel = kernel_find(step_name, "packed");
        const int64_t A = kernel->layer->uses & USES(A) ? 3 : 1;
        struct arena one, two;
        struct bench_case step =
            make_case(step_name, "packed", (struct dims){.S = 1, .H = H, .A = A, .B = 1}, &one);
        struct bench_case sequence = make_case(sequence_name, "openblas",
                                               (struct dims){.S = S, .H = H, .A = A, .B = 1}, &two);
        case_run(&sequence);
        const int x = tensor_named(&step, "x"), y = tensor_named(&step, "y");
        for (int t = 0; t < step.tensor_count; t++) /* parameters and first state of both */
            if (t != x && !case_is_result(&step.tensor[t]))
                copy_tensor(&sequence.tensor[t], &step.tensor[t]);
        case_prepare(&step);
        for (int s = 0; s < S; s++) {
            memcpy(step.tensor[x].data, sequence.tensor[x].data + s * H, H * sizeof(float));
            case_run(&step);
            for (int k = 0; k < 4 && layers[i].from[k]; k++)
                copy_tensor(&step.tensor[tensor_named(&step, layers[i].to[k])],
                            &step.tensor[tensor_named(&step, layers[i].from[k])]);
        }
        for (int c = 0; c < H; c++) {
            const float want = sequence.tensor[y].data[(S - 1) * H + c];
            const float got = step.tensor[y].data[c];
            if (fabsf(got - want) > 1e-5f)
                fail_msg("%s: channel %d is %g, not %g", step_name, c, (double)got, (double)want);
        }
        case_release(&step);
        case_release(&sequence);
        arena_unmap(&one);
        arena_unmap(&two);
    }
}

/* Both sigmoids of minLSTM are 0 in float there; f/(f+i) is not 0/0. */
static void gates_far_below_zero_share_by_their_difference(void **state)
{
    (void)state;
    enum { S = 3, H = 19 };
    struct arena arena;
    struct bench_case c =
        make_case("minlstm/hoisted", NULL, (struct dims){.S = S, .H = H, .A = 1, .B = 1}, &arena);
    float *h0 = c.tensor[1].data, *W = c.tensor[2].data, *b = c.tensor[3].data;
    const float *y = c.tensor[4].data;
    memset(h0, 0, H * sizeof(float));
    memset(W, 0, 3 * H * H * sizeof(float));
    for (int k = 0; k < H; k++) {
        b[k] = -200.0f;
        b[H + k] = k % 2 ? -203.0f : -400.0f;
        b[2 * H + k] = 1.0f;
    }
    case_prepare(&c);
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
    const struct bench_case c =
        make_case("transformer/full", NULL, (struct dims){.S = 7, .H = 12, .A = 2, .B = 1}, &arena);
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
    const struct bench_case c =
        make_case("rnn/literal", NULL, (struct dims){.S = 500, .H = 64, .A = 1, .B = 1}, &arena);
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
    struct bench_case a =
        make_case("lstm/fused", NULL, (struct dims){.S = 3, .H = 16, .A = 1, .B = 1}, &arena);
    struct bench_case b =
        make_case("lstm/fused", NULL, (struct dims){.S = 3, .H = 16, .A = 1, .B = 1}, &other);
    assert_memory_equal(a.tensor[3].data, b.tensor[3].data, 64 * 16 * sizeof(float));
    case_draw(&b, 2);
    assert_memory_not_equal(a.tensor[3].data, b.tensor[3].data, 64 * 16 * sizeof(float));
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
        cmocka_unit_test(kernels_of_a_layer_agree),
        cmocka_unit_test(steps_in_a_row_are_the_sequence),
        cmocka_unit_test(gates_far_below_zero_share_by_their_difference),
        cmocka_unit_test(arrays_are_aligned_and_apart),
        cmocka_unit_test(inputs_are_spread_over_their_range),
        cmocka_unit_test(seed_decides_the_inputs),
        cmocka_unit_test(flush_to_zero_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
