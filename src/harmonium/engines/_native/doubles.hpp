// exp, log, logistic and softplus in double precision, to about one unit in the last place. The mathematics library has
// several versions of each for different processors, and they differ in last bits; these do not.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

static inline vd select(vl mask, vd a, vd b) { return (vd)(((vl)a & mask) | ((vl)b & ~mask)); }
static inline vd absolute(vd x) { return (vd)((vl)x & 0x7fffffffffffffff); }
static inline vd splat(double x) { return x - (vd){}; }

constexpr double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;

static inline vd exponential(vd x) {
    // Beyond these ends the result is zero or infinite; a comparison with NaN is false.
    const vd t = select(x > 710.0, splat(710.0), select(x < -746.0, splat(-746.0), x));
    const double shift = 0x1.8p52;  // added and taken off it rounds to an integer, which is then in the lowest bits
    const vd shifted = t * 1.44269504088896340736 + shift, n = shifted - shift;
    const vd r = t - n * LN2_HIGH - n * LN2_LOW;
    vd p = r * (1.0 / 6227020800) + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    // In two steps, as 2^n may leave the range where the result does not.
    const vl k = (vl)shifted - (vl)splat(shift), half = k >> 1;
    p = p * (vd)((half + 1023) << 52) * (vd)((k - half + 1023) << 52);
    return select(x == x, p, x);
}

static inline vd logarithm(vd x) {
    const vl tiny = x < 0x1p-1022;
    const vd y = select(tiny, x * 0x1p54, x);
    // y = 2^e m with m from sqrt(1/2) to sqrt(2).
    const vl bits = (vl)y - 0x3fe6a09e667f3bcd, e = bits >> 52;
    const vd m = (vd)((vl)y - (e << 52)), f = m - 1.0, n = __builtin_convertvector(e, vd) - select(tiny, splat(54.0), splat(0.0));
    // log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), where s = f / (2 + f), R = 2/3 s^2 + 2/5 s^4 + ...
    const vd s = f / (f + 2.0), z = s * s, h = f * f * 0.5;
    vd p = z * (2.0 / 23) + 2.0 / 21;
    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    const vd sum = n * LN2_HIGH - ((h - (s * (h + p * z) + n * LN2_LOW)) - f);
    const vd edge = select(x == 0.0, splat(double(-INFINITY)), select(x == INFINITY, x, splat(double(NAN))));
    return select((x > 0.0) & (x < INFINITY), sum, edge);
}

static inline vd logistic(vd x) {
    const vd t = exponential((vd)((vl)absolute(x) | INT64_MIN));
    return select(x >= 0.0, splat(1.0), t) / (t + 1.0);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + t), t = exp(-|x|); what 1 + t loses by rounding is made up for.
static inline vd softplus(vd x) {
    const vd t = exponential((vd)((vl)absolute(x) | INT64_MIN)), u = t + 1.0;
    return select(x > 0.0, x, splat(0.0)) + (logarithm(u) + (t - (u - 1.0)) / u);
}

template <vd (*function)(vd)>
static void each(const double* x, size_t n, double* out) {
    size_t i = 0;
    for (; i + DOUBLES <= n; i += DOUBLES) store(out + i, function(load<vd>(x + i)));
    if (i < n) {
        vd rest = {};
        memcpy(&rest, x + i, (n - i) * sizeof(double));
        rest = function(rest);
        memcpy(out + i, &rest, (n - i) * sizeof(double));
    }
}

}  // namespace HARMONIUM_ISA
