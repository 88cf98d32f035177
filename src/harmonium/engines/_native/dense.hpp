// x @ F for real x, in floating point. Every output is one sum in the order of the terms, rounded after each
// multiplication and each addition, whatever the register width: the same bits for every instruction set.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef vf type;
};
template <>
struct VectorOf<double> {
    typedef vd type;
};

template <class T, int ROWS>
static inline void dense_rows(const T* x, const uint64_t* at, size_t n_terms, const T* f, int width, T* out) {
    typedef typename VectorOf<T>::type V;
    constexpr int W = VECTOR_BYTES / sizeof(T), PANEL = 128 / sizeof(T);
    for (int part = 0; part < width; part += 2 * W) {
        V sums[ROWS][2] = {};
        for (size_t t = 0; t < n_terms; t++) {
            const V a = load<V>(f + at[t] + part), b = load<V>(f + at[t] + part + W);
            for (int r = 0; r < ROWS; r++) {
                const T factor = x[t * ROWS + r];
                sums[r][0] += a * factor;
                sums[r][1] += b * factor;
            }
        }
        for (int r = 0; r < ROWS; r++) {
            store(out + r * PANEL + part, sums[r][0]);
            store(out + r * PANEL + part + W, sums[r][1]);
        }
    }
}

template <class T>
static void dense(const T* x, const uint64_t* at, size_t n_terms, int rows, const T* f, int width, T* out) {
    if (rows == 4)
        dense_rows<T, 4>(x, at, n_terms, f, width, out);
    else
        dense_rows<T, 1>(x, at, n_terms, f, width, out);
}

}  // namespace HARMONIUM_ISA
