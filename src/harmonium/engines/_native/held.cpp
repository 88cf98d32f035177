// The parameters in somebody else's arrays, of floats or doubles: put there, and whether they still are what is held.
#include <float.h>
#include <math.h>

#include <algorithm>

#include "machine.hpp"

namespace harmonium {

template <class T>
static bool are_equal(const T* x, ptrdiff_t step, const float* held, ptrdiff_t held_step, size_t n) {
    int differ = 0;
    if (step == 1 && held_step == 1)
        for (size_t i = 0; i < n; i++) differ |= float(x[i]) != held[i];
    else
        for (size_t i = 0; i < n; i++) differ |= float(x[ptrdiff_t(i) * step]) != held[ptrdiff_t(i) * held_step];
    return !differ;
}

static bool are_equal(const Kernels& k, const double* x, const float* held, size_t n) { return k.round_to(x, held, n); }
static bool are_equal(const Kernels&, const float* x, const float* held, size_t n) { return are_equal(x, 1, held, 1, n); }

template <class T>
bool Machine::holds(const Strided<T>& W, const T* b, const T* c) const {
    if (!are_equal(b, 1, b_.get(), 1, m_) || !are_equal(c, 1, c_.get(), 1, n_)) return false;
    const bool along_hidden = W.row_stride == 1;  // as `fit` leaves them
    for (size_t j = 0; j < m_; j += 64)
        for (size_t i = 0; i < n_; i += 32) {
            const T* x = W.data + ptrdiff_t(i) * W.row_stride + ptrdiff_t(j) * W.column_stride;
            const float* held = W_.tile(j / 64, i / 32);
            const size_t rows = std::min(size_t(64), m_ - j), columns = std::min(size_t(32), n_ - i);
            for (size_t k = 0; k < (along_hidden ? rows : columns); k++)
                if (along_hidden ? !are_equal(kernels_, x + ptrdiff_t(k) * W.column_stride, held + k * 32, columns)
                                 : !are_equal(x + ptrdiff_t(k) * W.row_stride, W.column_stride, held + k, 32, rows))
                    return false;
        }
    return true;
}

static bool are_finite(const float* x, size_t n) {
    int others = 0;  // which compilers add up in vectors
    for (size_t i = 0; i < n; i++) others |= !(fabsf(x[i]) <= FLT_MAX);
    return !others;
}

bool Machine::is_finite() const {
    bool finite = are_finite(b_.get(), m_) && are_finite(c_.get(), n_);
    for (size_t j = 0; finite && j < m_; j += 64)  // what lies beyond the last unit is zero
        for (size_t i = 0; i < n_; i += 32) finite &= are_finite(W_.tile(j / 64, i / 32), 2048);
    return finite;
}

template <class T>
void Machine::write(T* W, ptrdiff_t row_stride, ptrdiff_t column_stride) const {
    for (size_t j = 0; j < m_; j++)
        for (size_t first = 0; first < n_; first += 32) {
            const float* from = &W_.at(j, first);
            T* to = W + ptrdiff_t(first) * row_stride + ptrdiff_t(j) * column_stride;
            const size_t width = std::min(size_t(32), n_ - first);
            if (row_stride == 1) std::copy_n(from, width, to);  // as `fit` wants them
            else for (size_t i = 0; i < width; i++) to[ptrdiff_t(i) * row_stride] = T(from[i]);
        }
}

template bool Machine::holds(const Strided<float>&, const float*, const float*) const;
template bool Machine::holds(const Strided<double>&, const double*, const double*) const;
template void Machine::write(float*, ptrdiff_t, ptrdiff_t) const;
template void Machine::write(double*, ptrdiff_t, ptrdiff_t) const;

}  // namespace harmonium
