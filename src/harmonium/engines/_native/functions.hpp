// exp, logistic and softplus on vectors of floats. Errors are below 3e-7 relative; nothing overflows.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

// As many vectors as take turns well: a tile's row, or half of it where that is eight.
constexpr int TOGETHER = 32 / LANES < 4 ? 32 / LANES : 4, WIDTH = TOGETHER * LANES;

// N vectors at a time, operation by operation: the chain of one alone would be waited for at each of its links.
template <int N, class Do>
static inline void each_of(Do op) {
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) op(i);
}

// exp(-a) for a >= 0.
template <int N>
static inline void exp_negative(const vf (&a)[N], vf (&p)[N]) {
    vi n[N];
    vf least[N], r[N];
    each_of<N>([&](int i) { least[i] = smaller(a[i], splat(87.0f)); });
    each_of<N>([&](int i) { n[i] = to_nearest(least[i] * 1.44269504f); });
    each_of<N>([&](int i) { p[i] = to_float(n[i]); });
    each_of<N>([&](int i) { r[i] = p[i] * 0.693359375f - least[i] + p[i] * -2.12194440e-4f; });  // n ln 2 - a, with ln 2 in two parts
    each_of<N>([&](int i) { p[i] = r[i] * 1.9875691500e-4f + 1.3981999507e-3f; });
    for (const float next : {8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        each_of<N>([&](int i) { p[i] = p[i] * r[i] + next; });
    each_of<N>([&](int i) { p[i] = p[i] * r[i] * r[i] + r[i] + 1.0f; });
    each_of<N>([&](int i) { p[i] = (vf)((vi)p[i] - (n[i] << 23)); });
}
static inline vf exp_negative(vf a) {
    const vf one[] = {a};
    vf result[1];
    exp_negative(one, result);
    return result[0];
}

// t = exp(-|x|), of which the logistic function is made: above / (1 + t).
template <int N>
struct Logistic {
    vf t[N], above[N];

    explicit Logistic(const vf (&x)[N]) {
        vf a[N];
        each_of<N>([&](int i) { a[i] = absolute(x[i]); });
        exp_negative(a, t);
        each_of<N>([&](int i) { above[i] = select(x[i] >= 0.0f, splat(1.0f), t[i]); });
    }
    vf mean(int i) const { return above[i] / (t[i] + 1.0f); }
};

// log(1 + exp(x)) = max(x, 0) + log(1 + t), t = exp(-|x|), by the series of 2 atanh(t / (2 + t)); in place.
template <int N>
static inline void softplus(vf (&x)[N]) {
    vf a[N], z[N], y[N], p[N];
    each_of<N>([&](int i) { a[i] = absolute(x[i]); });
    exp_negative(a, z);
    each_of<N>([&](int i) { z[i] = z[i] / (z[i] + 2.0f); });
    each_of<N>([&](int i) { y[i] = z[i] * z[i]; });
    each_of<N>([&](int i) { p[i] = y[i] * (1.0f / 15) + 1.0f / 13; });
    for (const float next : {1.0f / 11, 1.0f / 9, 1.0f / 7, 1.0f / 5, 1.0f / 3})
        each_of<N>([&](int i) { p[i] = p[i] * y[i] + next; });
    each_of<N>([&](int i) { p[i] = p[i] * y[i] * z[i] + z[i]; });
    each_of<N>([&](int i) { x[i] = larger(x[i], splat(0.0f)) + (p[i] + p[i]); });
}

}  // namespace HARMONIUM_ISA
