// Long products in double precision, of which logarithms are wanted. Numbers go in groups of eight whatever the register
// width, so that results do not depend on it.
#pragma once

#include "doubles.hpp"
#include "vec.hpp"

namespace HARMONIUM_ISA {

constexpr int PARTS = 8 / DOUBLES;

// Several products at a time: one alone would wait for each multiplication to end, and each load of x serves all.
constexpr int PRODUCTS = 4;

// The factors are x + y, or 1 + x y.
template <bool SUMS>
static void products(const double* x, size_t count, const double* const* y, size_t step, size_t n, int safe, double* mantissa,
                     double* power) {
    for (size_t c = 0; c < count; c++, x += n, y += step, mantissa += PRODUCTS, power += PRODUCTS) {
        vd product[PRODUCTS][PARTS];
        vw exponents[PRODUCTS][PARTS] = {};
        int64_t turns = 0;
        for (auto& of : product)
            for (vd& part : of) part = splat(1.0);
        for (size_t j = 0; j < n; turns++) {
            const size_t end = j + size_t(safe) * 8 < n ? j + size_t(safe) * 8 : n;
            for (; j < end; j += 8)
                for (int p = 0; p < PARTS; p++) {
                    const size_t at = j + p * DOUBLES;
                    const vd a = load<vd>(x + at);
                    for (int k = 0; k < PRODUCTS; k++) {
                        const vd b = load<vd>(y[k] + at);
                        product[k][p] *= SUMS ? a + b : a * b + 1.0;
                    }
                }
            // Every factor is above zero: set the exponents aside.
            for (int k = 0; k < PRODUCTS; k++)
                for (int p = 0; p < PARTS; p++) {
                    const vw bits = (vw)product[k][p];
                    exponents[k][p] += bits >> 52;
                    product[k][p] = (vd)((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
                }
        }
        for (int k = 0; k < PRODUCTS; k++) {
            vw sums = exponents[k][0];
            for (int p = 1; p < PARTS; p++) sums += exponents[k][p];
            int64_t total = -1023 * 8 * turns;
            for (int i = 0; i < DOUBLES; i++) total += int64_t(sums[i]);
            mantissa[k] = 1;
            for (int i = 0; i < 8; i++) mantissa[k] *= product[k][i / DOUBLES][i % DOUBLES];
            power[k] = double(total);
        }
    }
}

// All in one go, as a logarithm alone would be waited for.
static void log_products(double* mantissa, const double* power, size_t n) {
    each<logarithm>(mantissa, n, mantissa);
    for (size_t i = 0; i < n; i++) mantissa[i] += power[i] * 0.69314718055994530942;
}

// exp(x) for |x| < 700 to about two units in the last place, in fewer instructions and shorter chains of them than
// `exponential` has.
static inline vd quick_exponential(vd x) {
    const double shift = 0x1.8p52;
    const vd shifted = x * 1.44269504088896340736 + shift, n = shifted - shift;
    const vd r = x - n * LN2_HIGH - n * LN2_LOW, r2 = r * r, r4 = r2 * r2;
    const vd a = r + 1.0 + (r * (1.0 / 6) + 0.5) * r2;
    const vd b = r * (1.0 / 120) + 1.0 / 24 + (r * (1.0 / 5040) + 1.0 / 720) * r2;
    const vd c = r * (1.0 / 362880) + 1.0 / 40320 + (r * (1.0 / 39916800) + 1.0 / 3628800) * r2 + r4 * (1.0 / 479001600);
    return (vd)((vl)(a + b * r4 + c * (r4 * r4)) + ((vl)shifted << 52));
}

static inline vd load_doubles(const float* x) {
#if defined(__AVX512F__)
    return (vd)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined(__AVX2__)
    return (vd)_mm256_cvtps_pd(_mm_loadu_ps(x));
#else
    return vd{double(x[0]), double(x[1])};
#endif
}

// Sums in sixteen parts, whatever the register width.
static double exponentials_of_floats(const float* x, size_t n, double* out) {
    vd sums[16 / DOUBLES] = {};
    for (size_t i = 0; i < n; i += 16)
        for (int k = 0; k < 16 / DOUBLES; k++) {
            const vd value = load_doubles(x + i + k * DOUBLES);
            sums[k] += value;
            store(out + i + k * DOUBLES, quick_exponential(value));
        }
    double total = 0;
    for (int i = 0; i < 16; i++) total += sums[i / DOUBLES][i % DOUBLES];
    return total;
}

static void add_rows_of_32(const float* f, const uint64_t* at, size_t n_terms, double* sums) {
    constexpr int REGISTERS = 32 / DOUBLES;
    vd total[REGISTERS];
    for (int k = 0; k < REGISTERS; k++) total[k] = load<vd>(sums + k * DOUBLES);
    for (size_t t = 0; t < n_terms; t++)
        for (int k = 0; k < REGISTERS; k++) total[k] += load_doubles(f + at[t] + k * DOUBLES);
    for (int k = 0; k < REGISTERS; k++) store(sums + k * DOUBLES, total[k]);
}

// Logistic functions of eight units in 2^bits states (3 bits or more), weighted by w and summed over all of them, in `all`, and
// over those with bit i on, in with[8 * i]. Exponentials of arguments x + low, or, unless TAME, the arguments themselves.
template <bool TAME>
static void panel_moments(const double* x, const double* low, const double* w, int bits, double* all, double* with) {
    for (int part = 0; part < 8; part += DOUBLES) {
        const vd own = load<vd>(x + part);
        vd total = {}, on[3] = {};
        for (int i = 3; i < bits; i++) store(with + 8 * i + part, (vd){});
        for (size_t eight = 0; eight < size_t(1) << (bits - 3); eight++) {
            const double *at = low + eight * 64 + part, *weights = w + eight * 8;
            vd s[8];
            for (int k = 0; k < 8; k += 2) {
                const vd a = load<vd>(at + 8 * k), b = load<vd>(at + 8 * k + 8);
                if (TAME) {
                    // One division for two: it takes as long as several multiplications.
                    const vd y = own * a, z = own * b, down_y = y + 1.0, down_z = z + 1.0, inverse = 1.0 / (down_y * down_z);
                    s[k] = y * (down_z * inverse) * weights[k];
                    s[k + 1] = z * (down_y * inverse) * weights[k + 1];
                } else {
                    s[k] = logistic(own + a) * weights[k];
                    s[k + 1] = logistic(own + b) * weights[k + 1];
                }
            }
            const vd twos[4] = {s[0] + s[1], s[2] + s[3], s[4] + s[5], s[6] + s[7]}, fours[2] = {twos[0] + twos[1], twos[2] + twos[3]};
            on[0] += (s[1] + s[3]) + (s[5] + s[7]);
            on[1] += twos[1] + twos[3];
            on[2] += fours[1];
            const vd sum = fours[0] + fours[1];
            total += sum;
            for (int i = 3; i < bits; i++)
                if (eight >> (i - 3) & 1) store(with + 8 * i + part, load<vd>(with + 8 * i + part) + sum);
        }
        for (int i = 0; i < 3; i++) store(with + 8 * i + part, on[i]);
        store(all + part, total);
    }
}

}  // namespace HARMONIUM_ISA
