/* panels.h against loops in double, at sizes on both sides of every block. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "common/panels.h"

static float *numbers(int64_t n, unsigned seed)
{
    float *x = test_malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
    }
    return x;
}

static struct panels panels_of(int64_t gates, int64_t hid, int64_t block, int64_t in,
                               int64_t vectors)
{
    return (struct panels){
        .gates = gates, .hid = hid, .block = block, .in = in, .held = in, .vectors = vectors};
}

/* Where row `row` of gate `gate` stands after reordering: written down, not asked of panels.h. */
static int64_t position(const struct panels *w, int64_t gate, int64_t channel)
{
    return channel / w->block * w->block * w->gates + gate * w->block + channel % w->block;
}

struct product_case {
    int64_t rows, in, gates, hid, block, vectors;
    bool has_bias, has_addend;
    bool relu;
};

static double expected(const struct product_case *p, const float *X, const float *W, const float *b,
                       const float *addend, int64_t row, int64_t out_row)
{
    double sum = (p->has_bias ? (double)b[out_row] : 0.0) + (p->has_addend ? (double)*addend : 0.0);
    for (int64_t i = 0; i < p->in; i++)
        sum += (double)X[row * p->in + i] * (double)W[out_row * p->in + i];
    return p->relu && sum < 0.0 ? 0.0 : sum;
}

static void compare_product(const struct product_case *p)
{
    struct panels w = panels_of(p->gates, p->hid, p->block, p->in, p->vectors);
    const int64_t out = panels_rows(&w), ldy = out + 3;
    float *X = numbers(p->rows * p->in, 1), *W = numbers(p->gates * p->hid * p->in, 2);
    float *b = numbers(p->gates * p->hid, 3), *addend = numbers(p->rows * ldy, 4);
    float *Y = numbers(p->rows * ldy, 5), *bias = numbers(out, 6),
          *panels = numbers(out * p->in, 7);
    panels_fill(&w, W, p->in, 1.0f, panels);
    panels_fill_vector(&w, b, 1.0f, bias);
    w.data = panels;
    panels_product(p->rows, out, &w, X, p->in, p->has_bias ? bias : NULL,
                   p->has_addend ? addend : NULL, p->relu, Y, ldy);
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t gate = 0; gate < p->gates; gate++)
            for (int64_t channel = 0; channel < p->hid; channel++) {
                const int64_t at = r * ldy + position(&w, gate, channel);
                const double want = expected(p, X, W, b, addend + at, r, gate * p->hid + channel);
                if (!(fabs((double)Y[at] - want) <= 1e-5 * sqrt((double)p->in) + 1e-6))
                    fail_msg("rows=%d in=%d gates=%d hid=%d: [%d] is %g, not %g", (int)p->rows,
                             (int)p->in, (int)p->gates, (int)p->hid, (int)at, (double)Y[at], want);
            }
    float *const all[] = {X, W, b, addend, Y, bias, panels};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        test_free(all[i]);
}

static void products_are_right_at_every_edge(void **state)
{
    (void)state;
    const int64_t rows[] = {1, 2, 5, 6, 7, 13, 95, 97}, inputs[] = {1, 3, 64, 1023, 1025};
    const int64_t hid[] = {1, 15, 17, 64, 65, 130};
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
        for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
            for (size_t h = 0; h < sizeof(hid) / sizeof(hid[0]); h++) {
                const bool odd = (r + i + h) % 2;
                compare_product(&(struct product_case){rows[r], inputs[i], 1, hid[h], VMATH_LANES,
                                                       PRODUCT_VECTORS, odd, !odd, h % 3 == 0});
            }
}

static void gates_of_a_channel_stand_together(void **state)
{
    (void)state;
    const int64_t hid[] = {1, 16, 33, 70};
    for (int64_t gates = 2; gates <= 4; gates++)
        for (size_t h = 0; h < sizeof(hid) / sizeof(hid[0]); h++)
            compare_product(&(struct product_case){7, 9, gates, hid[h], 2 * VMATH_LANES,
                                                   PRODUCT_VECTORS, true, false, false});
}

static void columns_beyond_out_are_left_alone(void **state)
{
    (void)state;
    enum { ROWS = 7, IN = 5, OUT = 3, LDY = 6 };
    const struct panels empty = panels_of(1, OUT, VMATH_LANES, IN, PRODUCT_VECTORS);
    float *W = numbers(OUT * IN, 1), *X = numbers(ROWS * IN, 2), *Y = numbers(ROWS * LDY, 3);
    float *panels = numbers(panels_rows(&empty) * IN, 4);
    panels_fill(&empty, W, IN, 1.0f, panels);
    struct panels w = empty;
    w.data = panels;
    for (int64_t i = 0; i < ROWS * LDY; i++)
        Y[i] = 7.0f;
    panels_product(ROWS, OUT, &w, X, IN, NULL, NULL, false, Y, LDY);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t c = 0; c < LDY; c++)
            assert_true((Y[r * LDY + c] == 7.0f) == (c >= OUT));
    float *const all[] = {W, X, Y, panels};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        test_free(all[i]);
}

static void addend_may_be_the_output(void **state)
{
    (void)state;
    enum { ROWS = 8, IN = 1500, OUT = 40 }; /* more inputs than one pass takes */
    struct panels w = panels_of(1, OUT, VMATH_LANES, IN, PRODUCT_VECTORS);
    float *W = numbers(OUT * IN, 1), *X = numbers(ROWS * IN, 2), *Y = numbers(ROWS * OUT, 3);
    float *want = numbers(ROWS * OUT, 3), *panels = numbers(panels_rows(&w) * IN, 4);
    panels_fill(&w, W, IN, 1.0f, panels);
    w.data = panels;
    panels_product(ROWS, OUT, &w, X, IN, NULL, Y, false, Y, OUT);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t c = 0; c < OUT; c++) {
            double sum = (double)want[r * OUT + c];
            for (int64_t i = 0; i < IN; i++)
                sum += (double)X[r * IN + i] * (double)W[c * IN + i];
            assert_true(fabs((double)Y[r * OUT + c] - sum) < 1e-3);
        }
    float *const all[] = {W, X, Y, want, panels};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        test_free(all[i]);
}

static void transposed_filling_gives_the_same(void **state)
{
    (void)state;
    enum { IN = 7, OUT = 37 };
    const struct panels w = panels_of(1, OUT, VMATH_LANES, IN, PRODUCT_VECTORS);
    const size_t floats = (size_t)panels_rows(&w) * IN;
    float *W = numbers(OUT * IN, 1), *T = numbers(OUT * IN, 2);
    float *one = numbers((int64_t)floats, 3), *two = numbers((int64_t)floats, 4);
    for (int r = 0; r < OUT; r++)
        for (int i = 0; i < IN; i++)
            T[i * OUT + r] = W[r * IN + i];
    panels_fill(&w, W, IN, 1.0f, one);
    panels_fill_transposed(&w, T, OUT, two);
    assert_memory_equal(one, two, floats * sizeof(float));
    float *const all[] = {W, T, one, two};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        test_free(all[i]);
}

static void steps_are_right_in_both_directions(void **state)
{
    (void)state;
    for (int64_t vectors = 1; vectors <= WALK_VECTORS; vectors++)
        for (int64_t in = 1; in <= 5; in++) {
            const int64_t width = vectors * VMATH_LANES;
            float *panel = numbers(in * width, 1), *x = numbers(in, 2);
            for (int backward = 0; backward <= 1; backward++) {
                vfloat sum[WALK_VECTORS];
                for (int64_t v = 0; v < vectors; v++)
                    sum[v] = 2.0f - (vfloat){0};
                panels_walk(vectors, backward, in, panel, x, sum);
                float got[WALK_VECTORS * VMATH_LANES];
                for (int64_t v = 0; v < vectors; v++)
                    v_store(got + v * VMATH_LANES, sum[v]);
                for (int64_t c = 0; c < width; c++) {
                    double want = 2.0;
                    for (int64_t i = 0; i < in; i++)
                        want += (double)panel[i * width + c] * (double)x[i];
                    assert_true(fabs((double)got[c] - want) < 1e-5);
                }
            }
            test_free(panel);
            test_free(x);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_right_at_every_edge),
        cmocka_unit_test(gates_of_a_channel_stand_together),
        cmocka_unit_test(columns_beyond_out_are_left_alone),
        cmocka_unit_test(addend_may_be_the_output),
        cmocka_unit_test(transposed_filling_gives_the_same),
        cmocka_unit_test(steps_are_right_in_both_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
