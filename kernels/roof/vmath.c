/*
 * roof/exp, roof/sigmoid, roof/tanh: rate of the suite's own vector functions.
 * Equation    y = f(x)
 * Shapes      x[S,H] -> y[S,H], S H = 1024: 8 KiB in all, in L1
 * Flops       none counted; S H evaluations of f
 * Bytes       input and output once
 * State       none
 * Inputs      x in [-4,4], where gates and shifted scores lie
 * Timed       one pass over x. Sequential: nothing
 * Source      include/vmath.h
 */
#include <math.h>

#include "products.h"

enum { X, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 4.0f};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost exp_cost(struct dims d)
{
    return (struct cost){.exps = d.S * d.H};
}

static struct cost sigmoid_cost(struct dims d)
{
    return (struct cost){.sigmoids = d.S * d.H};
}

static struct cost tanh_cost(struct dims d)
{
    return (struct cost){.tanhs = d.S * d.H};
}

static void exp_reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[Y][i] = exp(t[X][i]);
}

static void sigmoid_reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[Y][i] = 1.0 / (1.0 + exp(-t[X][i]));
}

static void tanh_reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[Y][i] = tanh(t[X][i]);
}

static void run_exp(const struct instance *in)
{
    vmath_exp(in->dims.S * in->dims.H, in->t[X], in->t[Y]);
}

static void run_sigmoid(const struct instance *in)
{
    vmath_sigmoid(in->dims.S * in->dims.H, in->t[X], in->t[Y]);
}

static void run_tanh(const struct instance *in)
{
    vmath_tanh(in->dims.S * in->dims.H, in->t[X], in->t[Y]);
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    out[0] = (struct dims){.S = 1, .H = 1024};
    return 1;
}

static const struct layer exp_layer = {
    .name = "roof/exp",
    .equation = "y = e^x",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = exp_cost,
    .reference = exp_reference,
    .tolerance = 5e-7,
    .own_cells = own_cells,
};

static const struct layer sigmoid_layer = {
    .name = "roof/sigmoid",
    .equation = "y = 1 / (1 + e^-x)",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = sigmoid_cost,
    .reference = sigmoid_reference,
    .tolerance = 5e-7,
    .own_cells = own_cells,
};

static const struct layer tanh_layer = {
    .name = "roof/tanh",
    .equation = "y = tanh x",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = tanh_cost,
    .reference = tanh_reference,
    .tolerance = 5e-7,
    .own_cells = own_cells,
};

const struct algorithm roof_exp = {
    .name = "roof/exp",
    .method = "a vector of 1024 in L1",
    .layer = &exp_layer,
    .products = PRODUCTS_NONE,
    .run = run_exp,
};

const struct algorithm roof_sigmoid = {
    .name = "roof/sigmoid",
    .method = "a vector of 1024 in L1",
    .layer = &sigmoid_layer,
    .products = PRODUCTS_NONE,
    .run = run_sigmoid,
};

const struct algorithm roof_tanh = {
    .name = "roof/tanh",
    .method = "a vector of 1024 in L1",
    .layer = &tanh_layer,
    .products = PRODUCTS_NONE,
    .run = run_tanh,
};
