// Moments of real visible units: floating-point sums in the order of the rows, made tile by tile where they are wanted.
#pragma once

#include "machine.hpp"

namespace harmonium {

// A few rows of a real matrix without the terms that are zero in all of them, as the kernels for dense products take them:
// what is left of term t goes to factors[count * rows], ..., and offset(t) to offsets[count]. Returns the count.
template <class T, class Offset>
static inline size_t gather(const Strided<T>& x, size_t first, size_t rows, Offset offset, T* factors, uint64_t* offsets) {
    const T* from = x.data + ptrdiff_t(first) * x.row_stride;
    size_t count = 0;
    for (size_t t = 0; t < x.columns; t++, from += x.column_stride) {
        bool any = false;
        for (size_t r = 0; r < rows; r++) {
            factors[count * rows + r] = from[ptrdiff_t(r) * x.row_stride];
            any |= factors[count * rows + r] != 0;
        }
        offsets[count] = offset(t);
        count += any;
    }
    return count;
}

// Of v (weighted h)', v and h over the rows of a side of a gradient. One at a time on a thread: the memory is shared.
class RealMoments {
  public:
    RealMoments(const Kernels& kernels, const Side& side, size_t n_visible, size_t n_hidden);

    // A tile of the products becomes those of this side less what it holds: `rows` visible units, 32 hidden ones.
    void less(float* tile, int word, int rows, size_t column) const;
    // The same for the sums of the layers.
    void less_v(float* v) const;
    void less_h(float* h) const;

  private:
    static constexpr size_t UNITS = 4, GROUPS = 64 / UNITS;  // visible units that share a pass over the rows; groups in a word

    const Kernels& kernels_;
    const Strided<float> v_;
    const size_t m_, n_;
    const float* weights_;
    const float *factors_, *panels_;
    const uint64_t *offsets_, *counts_;
};

}  // namespace harmonium
