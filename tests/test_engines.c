/* Every engine against loops in double: bias, addend, relu, parts, gates, one row and many. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "cases/kernel.h"
#include "check/rounding.h"
#include "kernels.h"

enum { IN_MAX = 2100, OUT_MAX = 3 * 37, ROWS_MAX = 9, PAD = 5 };

static float number(int64_t i)
{
    const uint32_t h = ((uint32_t)i * 2654435761u) >> 8;
    return (float)h * 0x1p-23f - 1.0f;
}

static void fill(float *x, int64_t n, int64_t seed)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = number(i + seed * 7919);
}

struct shape {
    int64_t rows, out, in;
    bool bias, addend, in_place, relu, one_row;
};

/* W and X as the engine takes them; *bound: what sums in float32 may be off by. */
static double expected(const struct shape *s, const double *X, const double *W, const float *b,
                       const float *addend, int64_t r, int64_t o, double *bound)
{
    double sum = (s->bias ? (double)b[o] : 0.0) + (s->addend ? (double)addend[o] : 0.0);
    double size = fabs(sum);
    for (int64_t i = 0; i < s->in; i++) {
        sum += W[o * s->in + i] * X[r * s->in + i];
        size += fabs(W[o * s->in + i] * X[r * s->in + i]);
    }
    *bound = 3e-7 * sqrt((double)s->in + 30.0) * (1.0 + size);
    return s->relu && sum < 0.0 ? 0.0 : sum;
}

/* Panel by panel in both directions, against sums that start from 1. */
static void compare_walks(const struct engine *engine, const struct shape *s,
                          const struct weights *w, const float *x, const double *rounded_x,
                          const double *rounded_W)
{
    const struct shape plain = {.rows = 1, .out = s->out, .in = s->in};
    const int64_t width = WALK_VECTORS * VMATH_LANES;
    if (engine->take)
        engine->take(w, x);
    for (int64_t first = 0; first < s->out; first += width)
        for (int backward = 0; backward <= 1; backward++) {
            const int64_t left = at_most(s->out - first, width);
            const int64_t vectors = (left + VMATH_LANES - 1) / VMATH_LANES;
            vfloat sum[WALK_VECTORS];
            float got[WALK_VECTORS * VMATH_LANES];
            for (int64_t v = 0; v < vectors; v++)
                sum[v] = 1.0f - (vfloat){0};
            engine->walk(w, first, vectors, backward, x, sum);
            for (int64_t v = 0; v < vectors; v++)
                v_store(got + v * VMATH_LANES, sum[v]);
            for (int64_t o = 0; o < left; o++) {
                double bound;
                const double want =
                    1.0 + expected(&plain, rounded_x, rounded_W, NULL, NULL, 0, first + o, &bound);
                if (!(fabs((double)got[o] - want) < bound))
                    fail_msg("%s walk out=%d in=%d: [%d] is %g, not %g", engine->name, (int)s->out,
                             (int)s->in, (int)(first + o), (double)got[o], want);
            }
        }
}

static void compare(const struct engine *engine, const struct shape *s)
{
    static float W[OUT_MAX * IN_MAX], b[OUT_MAX], X[ROWS_MAX * (IN_MAX + PAD)];
    static float Y[ROWS_MAX * (OUT_MAX + PAD)], addend[ROWS_MAX * (OUT_MAX + PAD)];
    static float made[ENGINE_ARRAYS][128 * IN_MAX] __attribute__((aligned(64)));
    static double rounded_W[OUT_MAX * IN_MAX], rounded_X[ROWS_MAX * IN_MAX];
    const struct map map = {
        .matrix = 1, .bias = s->bias ? 2 : 0, .one_row = s->one_row, .relu = s->relu};
    struct weights w = {.map = &map,
                        .out = s->out,
                        .in = s->in,
                        .rows = s->out,
                        .one_row = s->one_row,
                        .kept = engine->kept,
                        .seed = 7,
                        .matrix = W,
                        .bias = s->bias ? b : NULL};
    struct tensor arrays[ENGINE_ARRAYS];
    const int64_t ldy = s->out + PAD;
    fill(W, s->out * s->in, 1);
    for (int64_t i = 0; i < s->out * s->in; i++)
        W[i] *= (float)(1 + i / s->in % 7); /* rows of several sizes */
    fill(b, s->out, 2);
    fill(X, s->rows * (s->in + PAD), 3);
    fill(addend, s->rows * ldy, 4);
    for (int64_t i = 0; i < s->rows * ldy; i++)
        Y[i] = s->in_place ? addend[i] : NAN;
    const int count = engine->arrays(&w, arrays);
    assert_true(count <= ENGINE_ARRAYS);
    for (int i = 0; i < count; i++) {
        assert_true(tensor_elements(&arrays[i]) <= 128 * IN_MAX);
        w.made[i] = made[i];
    }
    engine->prepare(&w);
    for (int64_t i = 0; i < s->out * s->in; i++)
        rounded_W[i] = (double)W[i];
    round_matrix(engine, &w, rounded_W);
    for (int64_t r = 0; r < s->rows; r++) {
        for (int64_t i = 0; i < s->in; i++)
            rounded_X[r * s->in + i] = (double)X[r * (s->in + PAD) + i];
        round_inputs(engine, s->in, rounded_X + r * s->in);
    }
    engine->product(&w, s->rows, X, s->in + PAD,
                    s->in_place ? Y
                    : s->addend ? addend
                                : NULL,
                    Y, ldy);
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t o = 0; o < s->out; o++) {
            double bound;
            const double want =
                expected(s, rounded_X, rounded_W, b, addend + r * ldy, r, o, &bound);
            if (!(fabs((double)Y[r * ldy + o] - want) < bound))
                fail_msg("%s rows=%d out=%d in=%d: [%d,%d] is %g, not %g", engine->name,
                         (int)s->rows, (int)s->out, (int)s->in, (int)r, (int)o,
                         (double)Y[r * ldy + o], want);
        }
    if (engine->walk && s->one_row && !(engine->leave_out && s->out % VMATH_LANES))
        compare_walks(engine, s, &w, X, rounded_X, rounded_W);
}

static void products_are_right(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 15, 16, 33, 40, 37 * 3};
    const int64_t inputs[] = {1, 6, 44, 87, 130, IN_MAX}; /* the last in several passes */
    int shape = 0;
    for (int e = 0; engines[e]; e++)
        for (int64_t rows = 1; rows <= ROWS_MAX; rows += 4)
            for (size_t o = 0; o < sizeof(sizes) / sizeof(sizes[0]); o++)
                for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
                    for (int way = 0; way < 16; way++) {
                        const struct shape s = {.rows = rows,
                                                .out = sizes[o],
                                                .in = inputs[i],
                                                .bias = way & 1,
                                                .addend = way & 2,
                                                .in_place = (way & 2) && (way & 8),
                                                .relu = way & 4,
                                                .one_row = shape++ % 3 == 0};
                        if (!(engines[e]->leave_out && (s.out % 8 || s.in % 4)))
                            compare(engines[e], &s);
                    }
}

static void engines_are_told_apart(void **state)
{
    (void)state;
    for (int e = 0; engines[e]; e++) {
        assert_true(engines[e]->bytes_per_weight > 0.0);
        for (int other = 0; other < e; other++)
            assert_string_not_equal(engines[e]->name, engines[other]->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_right),
        cmocka_unit_test(engines_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
