/* cost() against what is really done, and against figures worked out by hand. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"

static int64_t counted_multiply_adds(const struct kernel *kernel, struct dims dims)
{
    struct arena arena;
    struct err err;
    struct bench_case c;
    assert_true(arena_map(case_bytes(kernel, dims), &arena, &err));
    case_place(kernel, dims, &arena, &c);
    case_draw(&c, 1);
    case_prepare(&c);
    const int64_t before = multiply_adds_done;
    case_run(&c);
    const int64_t counted = multiply_adds_done - before;
    case_release(&c);
    arena_unmap(&arena);
    return counted;
}

static void multiply_adds_are_those_that_run(void **state)
{
    (void)state;
    const struct dims shapes[] = {{.S = 1, .H = 1, .A = 1, .B = 1},
                                  {.S = 7, .H = 12, .A = 2, .B = 1},
                                  {.S = 65, .H = 24, .A = 3, .B = 1},
                                  {.S = 130, .H = 64, .A = 1, .B = 1},
                                  {.S = 33, .H = 40, .A = 5, .B = 1},
                                  {.S = 9, .H = 24, .A = 3, .B = 4},
                                  {.S = 2, .H = 8, .A = 2, .B = 100},
                                  {.S = 65, .H = 24, .A = 6, .B = 2, .G = 2},
                                  {.S = 130, .H = 32, .A = 4, .B = 1, .G = 1, .W = 17},
                                  {.S = 700, .H = 8, .A = 2, .B = 1, .W = 600},
                                  {.S = 500, .H = 8, .A = 1, .B = 2, .W = 130},
                                  {.S = 33, .H = 12, .A = 2, .B = 1, .W = 33}};
    for (int i = 0; kernel_at(i); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            struct dims d = layer_dims(kernel_at(i)->layer, shapes[k]);
            if (kernel_cells(kernel_at(i)) == CELLS_PER_STEP)
                d.S = 1;
            if (kernel_refuses(kernel_at(i), d))
                continue;
            const int64_t counted = counted_multiply_adds(kernel_at(i), d);
            if (counted != kernel_cost(kernel_at(i), d).multiply_adds)
                fail_msg("%s S=%d H=%d B=%d: cost says %ld, done were %ld", kernel_at(i)->name,
                         (int)d.S, (int)d.H, (int)d.B,
                         (long)kernel_cost(kernel_at(i), d).multiply_adds, (long)counted);
        }
    }
}

/* M and E in operations, T in evaluations, weights in floats. */
static const struct {
    const char *kernel;
    struct dims dims;
    int64_t matrix_flops, elementwise, transcendentals, parameters;
} by_hand[] = {
    {"rnn/hoisted", {.S = 128, .H = 256, .A = 1, .B = 1}, 33554432, 0, 32768, 131328},
    {"rnn/literal", {.S = 512, .H = 512, .A = 1, .B = 1}, 536870912, 0, 262144, 524800},
    {"lstm/fused", {.S = 128, .H = 256, .A = 1, .B = 1}, 134217728, 131072, 163840, 525312},
    {"lstm/literal", {.S = 512, .H = 512, .A = 1, .B = 1}, 2147483648, 1048576, 1310720, 2099200},
    {"transformer/full", {.S = 128, .H = 256, .A = 4, .B = 1}, 218103808, 949504, 65792, 789760},
    {"transformer/tiled",
     {.S = 512, .H = 512, .A = 8, .B = 1},
     3758096384,
     13886464,
     2098176,
     3152384},
    {"gru/literal", {.S = 128, .H = 256, .A = 1, .B = 1}, 100663296, 163840, 98304, 394240},
    {"gru/hoisted", {.S = 512, .H = 512, .A = 1, .B = 1}, 1610612736, 1310720, 786432, 1574912},
    {"mingru/hoisted", {.S = 128, .H = 256, .A = 1, .B = 1}, 33554432, 98304, 32768, 131584},
    {"mingru/scan", {.S = 128, .H = 256, .A = 1, .B = 1}, 33554432, 393216, 229376, 131584},
    {"minlstm/literal", {.S = 128, .H = 256, .A = 1, .B = 1}, 50331648, 163840, 65536, 197376},
    {"tcn/im2col", {.S = 128, .H = 256, .A = 1, .B = 1}, 100663296, 131072, 0, 393728},
    {"tcn/shifted", {.S = 128, .H = 256, .A = 1, .B = 1}, 99090432, 131072, 0, 393728},
    {"transformer.scores", {.S = 128, .H = 256, .A = 4, .B = 1}, 8388608, 32768, 0, 0},
    {"transformer.softmax", {.S = 128, .H = 256, .A = 4, .B = 1}, 0, 261120, 65536, 0},
    {"lstm.step", {.S = 1, .H = 256, .A = 1, .B = 1}, 1048576, 1024, 1280, 525312},
    {"gru.step", {.S = 1, .H = 256, .A = 1, .B = 1}, 786432, 1280, 768, 394240},
    {"lstm.gates", {.S = 1, .H = 256, .A = 1, .B = 1}, 1048576, 0, 1024, 525312},
    {"lstm.update", {.S = 1, .H = 256, .A = 1, .B = 1}, 0, 1024, 256, 0},
    {"rnn/hoisted", {.S = 10, .H = 4, .A = 1, .B = 1, .In = 3}, 560, 0, 40, 32},
    {"rnn/registers", {.S = 128, .H = 256, .A = 1, .B = 5}, 167772160, 0, 163840, 131328},
    {"decode/cached", {.S = 128, .H = 256, .A = 4, .B = 3}, 5111808, 43758, 4614, 789760},
    {"mamba/scan", {.S = 128, .H = 256, .A = 1, .B = 1}, 109576192, 6684672, 1245184, 437760},
    {"mamba.step", {.S = 1, .H = 256, .A = 1, .B = 1}, 856064, 52224, 9728, 437760},
    {"mamba2/recurrent", {.S = 128, .H = 256, .A = 1, .B = 1}, 110231552, 21645440, 149632, 431768},
    {"mamba2/chunked", {.S = 128, .H = 256, .A = 1, .B = 1}, 136445952, 937088, 149632, 431768},
    {"ttt/primal", {.S = 128, .H = 256, .A = 4, .B = 1}, 84148224, 1775232, 1664, 280836},
    {"ssru/hoisted", {.S = 128, .H = 256, .A = 1, .B = 1}, 33554432, 131072, 32768, 131328},
    {"short_conv/shifted", {.S = 128, .H = 256, .A = 1, .B = 1}, 67305472, 65536, 0, 262912},
    {"rglru/scan", {.S = 128, .H = 256, .A = 4, .B = 1}, 58982400, 557056, 163840, 232192},
    {"slstm/hoisted", {.S = 128, .H = 256, .A = 4, .B = 1}, 83886080, 360448, 163840, 328704},
    {"mlstm/recurrent", {.S = 128, .H = 256, .A = 4, .B = 1}, 71860224, 1298944, 35840, 264456},
    {"gated_deltanet/recurrent",
     {.S = 128, .H = 256, .A = 4, .B = 1},
     97845248,
     2558976,
     134656,
     332872},
    {"gated_deltanet/chunked",
     {.S = 128, .H = 256, .A = 4, .B = 1},
     112427008,
     561152,
     151808,
     332872},
    {"rwkv7/recurrent", {.S = 128, .H = 256, .A = 4, .B = 1}, 95682560, 3407872, 107776, 310528},
    {"modern/tiled", {.S = 128, .H = 256, .A = 4, .B = 1}, 192937984, 663808, 123392, 705024},
    {"modern_decode/cached", {.S = 128, .H = 256, .A = 4, .B = 1}, 1540096, 6458, 1218, 705024},
    {"ttt/dual", {.S = 128, .H = 256, .A = 4, .B = 1}, 82051072, 1391488, 1664, 280836},
};

static void costs_worked_out_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
        const struct kernel *kernel = kernel_find(by_hand[i].kernel, NULL);
        const struct cost cost = kernel_cost(kernel, by_hand[i].dims);
        struct tensor tensors[TENSOR_MAX];
        const int count = kernel->layer->tensors(by_hand[i].dims, tensors);
        int64_t parameters = 0;
        for (int k = 0; k < count; k++)
            if (tensors[k].role == PARAMETER)
                parameters += tensor_elements(&tensors[k]);
        assert_int_equal(2 * cost.multiply_adds, by_hand[i].matrix_flops);
        assert_int_equal(cost.elementwise, by_hand[i].elementwise);
        assert_int_equal(cost.exps + cost.logs + cost.sigmoids + cost.tanhs + cost.rsqrts,
                         by_hand[i].transcendentals);
        assert_int_equal(parameters, by_hand[i].parameters);
    }
}

/* Every field of struct cost is an int64_t. */
static void add_cost(struct cost *sum, const struct cost cost, int64_t times)
{
    int64_t to[sizeof(cost) / sizeof(int64_t)], from[sizeof(cost) / sizeof(int64_t)];
    memcpy(to, sum, sizeof(cost));
    memcpy(from, &cost, sizeof(cost));
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
        to[i] += times * from[i];
    memcpy(sum, to, sizeof(cost));
}

static void add_part(struct cost *sum, const char *part, struct dims d, int64_t times)
{
    add_cost(sum, kernel_find(part, NULL)->layer->cost(d), times);
}

/* Whether S steps cost what one of the variants of their layer does. */
static bool is_cost_of_a_variant(const struct kernel *step, struct dims d)
{
    const struct dims one = {.S = 1, .H = d.H, .A = d.A, .B = 1};
    const int length = kernel_layer_length(step);
    struct cost steps = {0};
    add_cost(&steps, kernel_cost(step, one), d.S);
    for (int i = 0; kernel_at(i); i++) {
        const struct cost whole = kernel_cost(kernel_at(i), d);
        if (strcmp(kernel_kind(kernel_at(i)), "layer") == 0 &&
            kernel_layer_length(kernel_at(i)) == length &&
            memcmp(kernel_at(i)->name, step->name, (size_t)length) == 0 &&
            memcmp(&steps, &whole, sizeof(whole)) == 0)
            return true;
    }
    return false;
}

static void steps_add_up_to_a_variant_of_their_layer(void **state)
{
    (void)state;
    const struct dims d = {.S = 33, .H = 40, .A = 5, .B = 1};
    int seen = 0;
    for (int i = 0; kernel_at(i); i++) {
        if (strcmp(kernel_kind(kernel_at(i)), "step") != 0)
            continue;
        if (!is_cost_of_a_variant(kernel_at(i), d))
            fail_msg("%d times %s costs what no variant does", (int)d.S, kernel_at(i)->name);
        seen++;
    }
    assert_true(seen > 0);
}

static void parts_add_up_to_their_layer(void **state)
{
    (void)state;
    const struct dims d = {.S = 33, .H = 40, .A = 5, .B = 1},
                      step = {.S = 1, .H = 40, .A = 1, .B = 1};
    struct cost lstm = {0}, transformer = {0}, mamba = {0}, whole;
    add_part(&lstm, "lstm.gates", step, d.S);
    add_part(&lstm, "lstm.update", step, d.S);
    whole = kernel_find("lstm/literal", NULL)->layer->cost(d);
    assert_memory_equal(&lstm, &whole, sizeof(whole));

    add_part(&mamba, "mamba.step", step, d.S);
    whole = kernel_find("mamba/scan", NULL)->layer->cost(d);
    assert_memory_equal(&mamba, &whole, sizeof(whole));

    const char *const parts[] = {"qkv", "scores", "softmax", "weighted", "output", "ffn", "norm"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "transformer.%s", parts[i]);
        add_part(&transformer, name, d, 1);
    }
    whole = kernel_find("transformer/full", NULL)->layer->cost(d);
    assert_memory_equal(&transformer, &whole, sizeof(whole));
}

static void sequential_layers_stream_their_recurrent_weights(void **state)
{
    (void)state;
    const struct dims d = {.S = 10, .H = 64, .A = 1, .B = 1};
    assert_int_equal(kernel_find("rnn/literal", NULL)->layer->cost(d).streamed_weights, 40960);
    assert_int_equal(kernel_find("lstm/fused", NULL)->layer->cost(d).streamed_weights, 163840);
    assert_int_equal(kernel_find("transformer/full", NULL)->layer->cost(d).streamed_weights, 0);
}

/* Sequences that go together read the weights once per step, each reads its own cache. */
static void batches_share_the_weights_that_are_streamed(void **state)
{
    (void)state;
    const struct dims d = {.S = 10, .H = 64, .A = 1, .B = 5};
    const struct cost rnn = kernel_cost(kernel_find("rnn/registers", NULL), d);
    const struct cost decode = kernel_cost(kernel_find("decode/cached", NULL), d);
    const struct kernel *mamba = kernel_find("mamba/scan", NULL);
    const struct dims one = {.S = 10, .H = 64, .A = 1, .B = 1};
    assert_int_equal(rnn.streamed_weights, 40960);
    assert_int_equal(decode.streamed_weights, 12 * 64 * 64);
    assert_int_equal(decode.streamed_floats, 5 * (9 * 64 + 256 + 2 * 9 * 64));
    assert_int_equal(kernel_cost(mamba, d).streamed_weights,
                     5 * kernel_cost(mamba, one).streamed_weights);
}

static void tiled_memory_is_linear_in_seq_len(void **state)
{
    (void)state;
    const struct dims one = {.S = 4096, .H = 64, .A = 1, .B = 1},
                      two = {.S = 8192, .H = 64, .A = 1, .B = 1};
    const double tiled = (double)case_bytes(kernel_find("transformer/tiled", NULL), two) /
                         (double)case_bytes(kernel_find("transformer/tiled", NULL), one);
    const double full = (double)case_bytes(kernel_find("transformer/full", NULL), two) /
                        (double)case_bytes(kernel_find("transformer/full", NULL), one);
    assert_true(tiled < 2.01);
    assert_true(full > 3.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiply_adds_are_those_that_run),
        cmocka_unit_test(costs_worked_out_by_hand),
        cmocka_unit_test(steps_add_up_to_a_variant_of_their_layer),
        cmocka_unit_test(parts_add_up_to_their_layer),
        cmocka_unit_test(sequential_layers_stream_their_recurrent_weights),
        cmocka_unit_test(batches_share_the_weights_that_are_streamed),
        cmocka_unit_test(tiled_memory_is_linear_in_seq_len),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
