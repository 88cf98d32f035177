// See real.hpp.
#include "real.hpp"

#include <algorithm>

namespace harmonium {

RealMoments::RealMoments(const Kernels& kernels, const Side& side, size_t n_visible, size_t n_hidden)
    : kernels_(kernels), v_(*side.real), m_(n_visible), n_(n_hidden) {
    static thread_local Buffer<float> own_weights, own_factors, own_panels;
    static thread_local Buffer<uint64_t> own_offsets, own_counts;
    const size_t rows = v_.rows, n_groups = (m_ + UNITS - 1) / UNITS, n_panels = (n_ + 31) / 32;
    float *weights = own_weights.reserve(rows), *factors = own_factors.reserve(n_groups * rows * UNITS);
    float* panels = own_panels.reserve(n_panels * rows * 32);
    uint64_t *offsets = own_offsets.reserve(n_groups * rows), *counts = own_counts.reserve(n_groups);
    if (side.weights) std::copy_n(side.weights, rows, weights);
    else std::fill_n(weights, rows, float(1.0 / double(rows)));
    const Strided<float> units = {v_.data, m_, rows, v_.column_stride, v_.row_stride};
    const auto offset = [](size_t row) { return row * 32; };
#pragma omp parallel num_threads(threads_for(double(rows) * (m_ + n_)))
    {
#pragma omp for schedule(static) nowait
        for (size_t group = 0; group < n_groups; group++) {
            const size_t first = group * UNITS;
            float* to = factors + group * rows * UNITS;
            if (first + UNITS <= m_) {
                counts[group] = gather(units, first, UNITS, offset, to, offsets + group * rows);
                continue;
            }
            std::fill_n(to, rows * UNITS, 0.0f);
            counts[group] = rows;
            for (size_t r = 0; r < rows; r++) {
                offsets[group * rows + r] = offset(r);
                for (size_t j = first; j < m_; j++) to[r * UNITS + j - first] = units.data[ptrdiff_t(j) * units.row_stride + ptrdiff_t(r) * units.column_stride];
            }
        }
#pragma omp for schedule(static)
        for (size_t panel = 0; panel < n_panels; panel++)
            for (size_t r = 0; r < rows; r++) {
                float* to = panels + (panel * rows + r) * 32;
                const size_t width = std::min(size_t(32), n_ - panel * 32);
                for (size_t i = 0; i < width; i++) to[i] = weights[r] * side.mean_h[r * n_ + panel * 32 + i];
                std::fill(to + width, to + 32, 0.0f);
            }
    }
    weights_ = weights, factors_ = factors, panels_ = panels, offsets_ = offsets, counts_ = counts;
}

void RealMoments::less(float* tile, int word, int rows, size_t column) const {
    alignas(64) float own[UNITS * 32];
    for (int first = 0; first < rows; first += UNITS) {
        const size_t group = size_t(word) * GROUPS + first / UNITS;
        kernels_.dense_floats(factors_ + group * v_.rows * UNITS, offsets_ + group * v_.rows, counts_[group], UNITS,
                              panels_ + column * v_.rows * 32, 32, own);
        float* to = tile + first * 32;
        for (int i = 0; i < std::min(rows - first, int(UNITS)) * 32; i++) to[i] = own[i] - to[i];
    }
}

void RealMoments::less_v(float* v) const {
    for (size_t j = 0; j < m_; j++) {
        float sum = 0;
        for (size_t r = 0; r < v_.rows; r++) sum += v_.data[ptrdiff_t(r) * v_.row_stride + ptrdiff_t(j) * v_.column_stride] * weights_[r];
        v[j] = sum - v[j];
    }
}

void RealMoments::less_h(float* h) const {
    for (size_t i = 0; i < n_; i++) {
        float sum = 0;
        for (size_t r = 0; r < v_.rows; r++) sum += panels_[(i / 32 * v_.rows + r) * 32 + i % 32];
        h[i] = sum - h[i];
    }
}

}  // namespace harmonium
