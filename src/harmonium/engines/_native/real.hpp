// Moments of real visible units: floating-point sums in the order of the rows, made tile by tile where they are wanted.
#pragma once

#include "machine.hpp"

namespace harmonium {

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
    const uint64_t *offsets_, *starts_;
};

}  // namespace harmonium
