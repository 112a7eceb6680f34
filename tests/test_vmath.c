/* vmath.h against long double, over the whole float range. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "vmath.h"

static const long double ulp_bound = 4.0L;

typedef void (*row_function)(int64_t n, const float *x, float *y);
typedef long double (*exact_function)(long double x);

static long double exact_exp(long double x)
{
    return expl(x);
}

static long double exact_sigmoid(long double x)
{
    return 1.0L / (1.0L + expl(-x));
}

static long double exact_tanh(long double x)
{
    return tanhl(x);
}

static long double exact_log(long double x)
{
    return logl(x);
}

static long double exact_log1p(long double x)
{
    return log1pl(x);
}

static void row_log(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_log);
}

static void row_log1p(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_log1p);
}

static long double exact_softplus(long double x)
{
    return fmaxl(x, 0.0L) + log1pl(expl(-fabsl(x)));
}

static long double exact_silu(long double x)
{
    return x / (1.0L + expl(-x));
}

/* The argument of the sigmoid in x sigmoid(z), which is the GELU in its tanh form. */
static long double gelu_argument(long double x)
{
    return 2.0L * sqrtl(2.0L / acosl(-1.0L)) * (x + 0.044715L * x * x * x);
}

static long double exact_gelu_tanh(long double x)
{
    return x * exact_sigmoid(gelu_argument(x));
}

/* Rounding z once moves e^z by |z| times as much. */
static long double gelu_sensitivity(long double x)
{
    return x < 0.0L ? fmaxl(1.0L, fminl(-gelu_argument(x), 200.0L)) : 1.0L;
}

static long double no_sensitivity(long double x)
{
    (void)x;
    return 1.0L;
}

/* Distance in units of the float spacing at the exact value; subnormals have spacing 2^-149. */
static long double ulps(float got, long double exact)
{
    int exponent;
    if (isnan(exact) || (isinf(exact) && exact < 0.0L)) /* log at and below its pole */
        return (isnan(exact) ? isnan(got) : (long double)got == exact) ? 0.0L
                                                                       : (long double)INFINITY;
    if (fabsl(exact) >= 0x1.ffffffp+127L) /* rounds to infinity */
        return isinf(got) && (got > 0.0f) == (exact > 0.0L) ? 0.0L : (long double)INFINITY;
    frexpl(exact, &exponent);
    const int spacing = exponent - 24 < -149 ? -149 : exponent - 24;
    return fabsl((long double)got - exact) / ldexpl(1.0L, spacing);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Every stride-th bit pattern, NaN left out; infinities are among the edges. */
static void test_function(row_function function, exact_function exact, exact_function sensitivity)
{
    enum { N = 4096, STRIDE = 1531 };
    static float x[N], y[N];
    uint64_t bits = 0;
    while (bits < (uint64_t)1 << 32) {
        int n = 0;
        for (; n < N && bits < (uint64_t)1 << 32; bits += STRIDE)
            if (!isnan(float_of((uint32_t)bits)))
                x[n++] = float_of((uint32_t)bits);
        function(n, x, y);
        for (int i = 0; i < n; i++)
            if (!(ulps(y[i], exact((long double)x[i])) <=
                  ulp_bound * sensitivity((long double)x[i])))
                fail_msg("f(%a) = %a, off by %Lg ulp", (double)x[i], (double)y[i],
                         ulps(y[i], exact((long double)x[i])));
    }
}

static void exp_within_4_ulp(void **state)
{
    (void)state;
    test_function(vmath_exp, exact_exp, no_sensitivity);
}

/* It says nothing above 0: there the test asks at -x. */
static vfloat expm1_of_nonpositive(vfloat x)
{
    return v_expm1_nonpositive(-v_abs(x));
}

static void row_expm1(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, expm1_of_nonpositive);
}

static long double exact_expm1(long double x)
{
    return expm1l(-fabsl(x));
}

static void expm1_below_0_within_4_ulp(void **state)
{
    (void)state;
    test_function(row_expm1, exact_expm1, no_sensitivity);
}

static void roots_are_those_of_each_lane(void **state)
{
    (void)state;
    enum { N = 37 };
    float x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)i * 0.37f;
    vmath_map(N, x, y, v_sqrt);
    for (int i = 0; i < N; i++)
        assert_true(y[i] == sqrtf(x[i]));
}

/* Of a row whose largest value is its shift: every x <= 0, and what is too small for a normal. */
static void exp_below_within_4_ulp(void **state)
{
    (void)state;
    enum { N = 4099, STRIDE = 1531 };
    /* One running sum of so many floats may be off by a rounding each; lanes share them. */
    const long double sum_bound = VMATH_LANES > 1 ? 1e-5L : N * 0x1p-24L;
    static float x[N], y[N];
    uint64_t bits = 0x80000000;
    while (bits < 0xff800000) {
        long double want = 0.0L;
        int n = 0;
        for (; n < N && bits < 0xff800000; bits += STRIDE)
            x[n++] = float_of((uint32_t)bits);
        const float sum = vmath_exp_below(n, x, 0.0f, y);
        for (int i = 0; i < n; i++) {
            const long double exact = exact_exp((long double)x[i]);
            want += exact;
            if (x[i] < -87.0f ? y[i] != 0.0f : ulps(y[i], exact) > ulp_bound)
                fail_msg("e^%a = %a", (double)x[i], (double)y[i]);
        }
        assert_true(fabsl((long double)sum - want) <= sum_bound * want + 1e-37L);
    }
}

static void exp_below_subtracts_its_shift(void **state)
{
    (void)state;
    const float x[3] = {1.0f, 3.0f, -INFINITY};
    float y[3];
    assert_true(fabsf(vmath_exp_below(3, x, 3.0f, y) - 1.1353353f) < 1e-6f);
    assert_true(fabsf(y[0] - 0.13533528f) < 1e-7f && y[1] == 1.0f && y[2] == 0.0f);
}

static void sigmoid_within_4_ulp(void **state)
{
    (void)state;
    test_function(vmath_sigmoid, exact_sigmoid, no_sensitivity);
}

static void tanh_within_4_ulp(void **state)
{
    (void)state;
    test_function(vmath_tanh, exact_tanh, no_sensitivity);
}

static void gelu_within_4_ulp_of_its_argument(void **state)
{
    (void)state;
    test_function(vmath_gelu_tanh, exact_gelu_tanh, gelu_sensitivity);
}

static void log_within_4_ulp(void **state)
{
    (void)state;
    test_function(row_log, exact_log, no_sensitivity);
}

static void log1p_within_4_ulp(void **state)
{
    (void)state;
    test_function(row_log1p, exact_log1p, no_sensitivity);
}

static const struct {
    row_function row;
    exact_function exact;
} functions[] = {
    {vmath_exp, exact_exp}, {vmath_sigmoid, exact_sigmoid}, {vmath_tanh, exact_tanh},
    {row_log, exact_log},   {row_log1p, exact_log1p},       {vmath_softplus, exact_softplus},
};

static void softplus_within_4_ulp(void **state)
{
    (void)state;
    test_function(vmath_softplus, exact_softplus, no_sensitivity);
}

/* Decays end at 2^-125. Every float from there to -2^-149. */
static void exp2_decay_within_4_ulp(void **state)
{
    (void)state;
    for (uint32_t bits = 0x80000000u; float_of(bits) >= -125.0f; bits += 1531) {
        const float x = float_of(bits);
        float y;
        vmath_exp2_decay(1, &x, &y);
        if (!(ulps(y, exp2l((long double)x)) <= ulp_bound))
            fail_msg("2^%a = %a, off by %Lg ulp", (double)x, (double)y,
                     ulps(y, exp2l((long double)x)));
    }
    const float x[] = {-125.0f, -126.0f, -1e30f, -INFINITY, NAN, 0.0f};
    float y[6];
    vmath_exp2_decay(6, x, y);
    for (int i = 0; i < 4; i++)
        assert_true(y[i] == 0x1p-125f);
    assert_true(isnan(y[4]) && y[5] == 1.0f);
}

/* Where sigmoid is subnormal it has no digits to give to the product. */
static void silu_within_4_ulp(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7f800000u; bits += 1531)
        for (int sign = -1; sign <= 1; sign += 2) {
            const float x = (float)sign * float_of(bits);
            float y;
            vmath_silu(1, &x, &y);
            const long double exact = exact_silu((long double)x);
            if (x < -87.0f ? !(fabsl((long double)y - exact) <= 1e-36L)
                           : !(ulps(y, exact) <= ulp_bound))
                fail_msg("silu(%a) = %a, off by %Lg ulp", (double)x, (double)y, ulps(y, exact));
        }
}

/* Dense around the places where a branch, a clamp or a reduction step changes. */
static void edges_within_4_ulp(void **state)
{
    (void)state;
    const float places[] = {0.0f,    0x1p-149f, 0x1p-126f, 1e-4f, 0.1733f, 0.2929f, 0.3466f,
                            0.4142f, 0.52f,     0.7071f,   1.0f,  1.04f,   1.4142f, 9.0109f,
                            10.0f,   87.3365f,  88.7228f,  90.0f, 103.97f, 105.0f,  0x1p24f,
                            0x1p25f, 0x1p126f,  0x1p127f,  3e38f};
    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
        for (int sign = -1; sign <= 1; sign += 2) {
            enum { N = 401 };
            float x[N], y[N];
            x[0] = (float)sign * places[p];
            for (int i = 1; i < N; i++)
                x[i] = nextafterf(x[i - 1], i < N / 2 ? INFINITY : -INFINITY);
            for (size_t f = 0; f < sizeof(functions) / sizeof(functions[0]); f++) {
                functions[f].row(N, x, y);
                for (int i = 0; i < N; i++)
                    assert_true(ulps(y[i], functions[f].exact((long double)x[i])) <= ulp_bound);
            }
        }
}

static void infinities_and_nan(void **state)
{
    (void)state;
    const float x[] = {INFINITY, -INFINITY, NAN};
    float y[3];
    vmath_exp(3, x, y);
    assert_true(isinf(y[0]) && y[1] == 0.0f && isnan(y[2]));
    vmath_sigmoid(3, x, y);
    assert_true(y[0] == 1.0f && y[1] == 0.0f && isnan(y[2]));
    vmath_tanh(3, x, y);
    assert_true(y[0] == 1.0f && y[1] == -1.0f && isnan(y[2]));
    row_log(3, x, y);
    assert_true(isinf(y[0]) && y[0] > 0.0f && isnan(y[1]) && isnan(y[2]));
    row_log1p(3, x, y);
    assert_true(isinf(y[0]) && y[0] > 0.0f && isnan(y[1]) && isnan(y[2]));
    vmath_softplus(3, x, y);
    vmath_gelu_tanh(3, x, y);
    assert_true(isinf(y[0]) && y[1] == 0.0f && isnan(y[2]));
}

static float random_float(void)
{
    return (float)rand() / (float)RAND_MAX * 2.0f - 1.0f;
}

/* Rows of every length around the vector width; what lies behind the row stays untouched. */
static void softmax_rows(void **state)
{
    (void)state;
    for (int n = 1; n <= 3 * VMATH_LANES + 1; n++) {
        float x[3 * VMATH_LANES + 2], y[3 * VMATH_LANES + 2];
        double sum = 0.0, max = -HUGE_VAL;
        for (int i = 0; i < n; i++) {
            x[i] = 300.0f * random_float(); /* overflows without subtracting the maximum */
            max = fmax(max, (double)x[i]);
        }
        for (int i = 0; i < n; i++)
            sum += exp((double)x[i] - max);
        y[n] = 7.0f;
        vmath_softmax(n, x, y);
        for (int i = 0; i < n; i++)
            assert_true(fabs((double)y[i] - exp((double)x[i] - max) / sum) < 5e-7);
        assert_true(y[n] == 7.0f);
    }
}

static void dot_products(void **state)
{
    (void)state;
    for (int n = 0; n <= 3 * VMATH_LANES + 1; n++) {
        float a[3 * VMATH_LANES + 2], b[3 * VMATH_LANES + 2];
        double want = 0.0;
        for (int i = 0; i < n; i++) {
            a[i] = random_float();
            b[i] = random_float();
            want += (double)a[i] * (double)b[i];
        }
        a[n] = b[n] = NAN; /* behind the row */
        assert_true(fabs((double)vmath_dot(n, a, b) - want) < 1e-5);
    }
}

static void layer_norm_rows(void **state)
{
    (void)state;
    for (int n = 1; n <= 3 * VMATH_LANES + 1; n++) {
        float x[3 * VMATH_LANES + 2], y[3 * VMATH_LANES + 2];
        float gain[3 * VMATH_LANES + 2], bias[3 * VMATH_LANES + 2];
        double mean = 0.0, variance = 0.0;
        for (int i = 0; i < n; i++) {
            x[i] = 100.0f + random_float(); /* E[x^2] - mean^2 would lose most digits here */
            gain[i] = random_float();
            bias[i] = random_float();
            mean += (double)x[i] / n;
        }
        for (int i = 0; i < n; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
        y[n] = 7.0f;
        vmath_layer_norm(n, x, gain, bias, 1e-5f, y);
        for (int i = 0; i < n; i++) {
            const double want =
                ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] + (double)bias[i];
            assert_true(fabs((double)y[i] - want) < 1e-4);
        }
        assert_true(y[n] == 7.0f);
        vmath_plain_norm(n, x, 1e-5f, y);
        for (int i = 0; i < n; i++)
            assert_true(fabs((double)y[i] - ((double)x[i] - mean) / sqrt(variance + 1e-5)) < 1e-4);
        assert_true(y[n] == 7.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_within_4_ulp),
        cmocka_unit_test(exp_below_within_4_ulp),
        cmocka_unit_test(expm1_below_0_within_4_ulp),
        cmocka_unit_test(roots_are_those_of_each_lane),
        cmocka_unit_test(exp_below_subtracts_its_shift),
        cmocka_unit_test(sigmoid_within_4_ulp),
        cmocka_unit_test(tanh_within_4_ulp),
        cmocka_unit_test(edges_within_4_ulp),
        cmocka_unit_test(infinities_and_nan),
        cmocka_unit_test(softmax_rows),
        cmocka_unit_test(log_within_4_ulp),
        cmocka_unit_test(log1p_within_4_ulp),
        cmocka_unit_test(gelu_within_4_ulp_of_its_argument),
        cmocka_unit_test(dot_products),
        cmocka_unit_test(layer_norm_rows),
        cmocka_unit_test(softplus_within_4_ulp),
        cmocka_unit_test(exp2_decay_within_4_ulp),
        cmocka_unit_test(silu_within_4_ulp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
