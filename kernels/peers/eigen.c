/* lstm/eigen, gru/eigen: step by step in Eigen, sizes known to the compiler; see eigen_step.h. */
#include "gru/gru.h"
#include "lstm/lstm.h"
#include "peers/eigen_step.h"

#define BY_EIGEN .engine = "eigen", .because = "Eigen makes its products itself"

enum { W_BY_COLUMN, U_BY_COLUMN };

static const char *refuses(struct dims d)
{
    return eigen_has(d.H, input_size(d)) ? NULL : "Eigen's sizes are fixed when it is compiled";
}

static int prepared(struct dims d, int64_t gates, struct tensor out[OWN_PREPARED_MAX])
{
    out[W_BY_COLUMN] =
        (struct tensor){.name = "W_by_column", .shape = {input_size(d), gates * d.H}};
    out[U_BY_COLUMN] = (struct tensor){.name = "U_by_column", .shape = {d.H, gates * d.H}};
    return U_BY_COLUMN + 1;
}

static int lstm_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    return prepared(d, LSTM_GATES, out);
}

static int gru_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    return prepared(d, GRU_GATES, out);
}

/* to[columns,rows] = from[rows,columns] */
static void transpose(int64_t rows, int64_t columns, const float *from, float *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
}

static void lstm_prepare(struct instance *in)
{
    const int64_t H = in->dims.H;
    transpose(LSTM_GATES * H, input_size(in->dims), in->t[LSTM_W], in->prepared[W_BY_COLUMN]);
    transpose(LSTM_GATES * H, H, in->t[LSTM_U], in->prepared[U_BY_COLUMN]);
}

static void gru_prepare(struct instance *in)
{
    const int64_t H = in->dims.H;
    transpose(GRU_GATES * H, input_size(in->dims), in->t[GRU_W], in->prepared[W_BY_COLUMN]);
    transpose(GRU_GATES * H, H, in->t[GRU_U], in->prepared[U_BY_COLUMN]);
}

static void lstm_run(const struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    const float *h = in->t[LSTM_H0], *c = in->t[LSTM_C0];
    for (int64_t s = 0; s < in->dims.S; s++) {
        float *y = in->t[LSTM_Y] + s * H;
        eigen_lstm_step(H, In, in->prepared[W_BY_COLUMN], in->prepared[U_BY_COLUMN], in->t[LSTM_B],
                        in->t[LSTM_X] + s * In, h, c, in->t[LSTM_C_LAST], y);
        c = in->t[LSTM_C_LAST];
        h = y;
    }
    multiply_adds_done += in->dims.S * LSTM_GATES * H * (In + H);
}

static void gru_run(const struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    const float *h = in->t[GRU_H0];
    for (int64_t s = 0; s < in->dims.S; s++) {
        float *y = in->t[GRU_Y] + s * H;
        eigen_gru_step(H, In, in->prepared[W_BY_COLUMN], in->prepared[U_BY_COLUMN], in->t[GRU_B],
                       in->t[GRU_BN], in->t[GRU_X] + s * In, h, y);
        h = y;
    }
    multiply_adds_done += in->dims.S * GRU_GATES * H * (In + H);
}

const struct algorithm lstm_eigen = {
    .name = "lstm/eigen",
    .method = "step by step in Eigen, with sizes that the compiler knows, as audio plugins do it",
    .layer = &lstm_layer,
    BY_EIGEN,
    .products = PRODUCTS_STEP,
    .refuses = refuses,
    .prepared = lstm_prepared,
    .prepare = lstm_prepare,
    .run = lstm_run,
};

const struct algorithm gru_eigen = {
    .name = "gru/eigen",
    .method = "step by step in Eigen, with sizes that the compiler knows, as audio plugins do it",
    .layer = &gru_layer,
    BY_EIGEN,
    .products = PRODUCTS_STEP,
    .refuses = refuses,
    .prepared = gru_prepared,
    .prepare = gru_prepare,
    .run = gru_run,
};
