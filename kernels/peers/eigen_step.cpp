/* eigen_step.cpp - Eigen is C++ and its sizes are template arguments: a step for each HidSize. */
#include "peers/eigen_step.h"

#define EIGEN_NO_DEBUG /* no assertions, as in a release build */

#if defined(__GNUC__) && !defined(__clang__)
/* gcc 12 takes the undefined lanes of its own AVX-512 intrinsics for a mistake. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <eigen3/Eigen/Core>

namespace
{

template <int Rows>
using Vector = Eigen::Matrix<float, Rows, 1>;
template <int Rows>
using ConstVector = Eigen::Map<const Vector<Rows>>;
template <int Rows, int Columns>
using Weights = Eigen::Map<const Eigen::Matrix<float, Rows, Columns>, Eigen::Aligned64>;

template <typename Values>
auto sigmoid(const Values &z)
{
    return (1.0f + (-z.array()).exp()).inverse();
}

template <int H, int In>
void lstm_step(const float *W, const float *U, const float *b, const float *x, const float *h,
               const float *c, float *c_next, float *y)
{
    Vector<4 *H> z = ConstVector<4 * H>(b);
    z.noalias() += Weights<4 * H, In>(W) * ConstVector<In>(x);
    z.noalias() += Weights<4 * H, H>(U) * ConstVector<H>(h);
    const Vector<H> next =
        sigmoid(z.template segment<H>(H)) * ConstVector<H>(c).array() +
        sigmoid(z.template segment<H>(0)) * z.template segment<H>(2 * H).array().tanh();
    Eigen::Map<Vector<H>>{c_next} = next;
    Eigen::Map<Vector<H>>{y} = sigmoid(z.template segment<H>(3 * H)) * next.array().tanh();
}

template <int H, int In>
void gru_step(const float *W, const float *U, const float *b, const float *bn, const float *x,
              const float *h, float *y)
{
    Vector<3 *H> of_x = ConstVector<3 * H>(b), of_h;
    of_x.noalias() += Weights<3 * H, In>(W) * ConstVector<In>(x);
    of_h.noalias() = Weights<3 * H, H>(U) * ConstVector<H>(h);
    const Vector<2 *H> rz =
        sigmoid(of_x.template head<2 * H>() + of_h.template head<2 * H>()).matrix();
    const Vector<H> n =
        (of_x.template tail<H>().array() +
         rz.template head<H>().array() * (of_h.template tail<H>() + ConstVector<H>(bn)).array())
            .tanh();
    const Vector<H> last = ConstVector<H>(h);
    Eigen::Map<Vector<H>>{y} = n.array() + rz.template tail<H>().array() * (last - n).array();
}

struct sized {
    int64_t H, In;
    void (*lstm)(const float *, const float *, const float *, const float *, const float *,
                 const float *, float *, float *);
    void (*gru)(const float *, const float *, const float *, const float *, const float *,
                const float *, float *);
};

template <int H, int In = H>
constexpr sized of_size()
{
    return {H, In, lstm_step<H, In>, gru_step<H, In>};
}

constexpr sized all[] = {of_size<8>(),     of_size<16>(),    of_size<24>(),    of_size<32>(),
                         of_size<40>(),    of_size<64>(),    of_size<128>(),   of_size<8, 1>(),
                         of_size<16, 1>(), of_size<24, 1>(), of_size<32, 1>(), of_size<40, 1>(),
                         of_size<64, 1>(), of_size<128, 1>()};

const sized *find(int64_t H, int64_t In)
{
    for (const sized &one : all)
        if (one.H == H && one.In == In)
            return &one;
    return nullptr;
}

} // namespace

#define TEXT_OF(number) #number
#define VERSION(world, major, minor) TEXT_OF(world) "." TEXT_OF(major) "." TEXT_OF(minor)

const char *eigen_version(void)
{
    return VERSION(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
}

bool eigen_has(int64_t H, int64_t In)
{
    return find(H, In) != nullptr;
}

void eigen_lstm_step(int64_t H, int64_t In, const float *W, const float *U, const float *b,
                     const float *x, const float *h, const float *c, float *c_next, float *y)
{
    find(H, In)->lstm(W, U, b, x, h, c, c_next, y);
}

void eigen_gru_step(int64_t H, int64_t In, const float *W, const float *U, const float *b,
                    const float *bn, const float *x, const float *h, float *y)
{
    find(H, In)->gru(W, U, b, bn, x, h, y);
}
