// See real.hpp.
#include "real.hpp"

#include <algorithm>

namespace harmonium {

RealMoments::RealMoments(const Kernels& kernels, const Side& side, size_t n_visible, size_t n_hidden)
    : kernels_(kernels), v_(*side.real), m_(n_visible), n_(n_hidden) {
    static thread_local Buffer<float> own_weights, own_factors, own_panels;
    static thread_local Buffer<uint64_t> own_offsets, own_starts;
    const size_t rows = v_.rows, n_groups = (m_ + UNITS - 1) / UNITS, n_panels = (n_ + 31) / 32;
    float *weights = own_weights.reserve(rows), *panels = own_panels.reserve(n_panels * rows * 32);
    if (side.weights) std::copy_n(side.weights, rows, weights);
    else std::fill_n(weights, rows, float(1.0 / double(rows)));
    const auto at = [&](size_t row, size_t unit) { return v_.data[ptrdiff_t(row) * v_.row_stride + ptrdiff_t(unit) * v_.column_stride]; };
    // Calls use(row) for the rows in which not all units of a group are zero. Where data are sparse, few are kept.
    const auto for_rows = [&](size_t group, auto use) {
        for (size_t r = 0; r < rows; r++)
            for (size_t j = group * UNITS; j < std::min(m_, (group + 1) * UNITS); j++)
                if (at(r, j) != 0) {
                    use(r);
                    break;
                }
    };
    uint64_t* starts = own_starts.reserve(n_groups + 1);
    const int threads = threads_for(double(rows) * (m_ + n_));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t group = 0; group < n_groups; group++) {
        starts[group + 1] = 0;
        for_rows(group, [&](size_t) { starts[group + 1]++; });
    }
    starts[0] = 0;
    for (size_t group = 0; group < n_groups; group++) starts[group + 1] += starts[group];
    float* factors = own_factors.reserve(starts[n_groups] * UNITS);
    uint64_t* offsets = own_offsets.reserve(starts[n_groups]);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static) nowait
        for (size_t group = 0; group < n_groups; group++) {
            size_t k = starts[group];
            for_rows(group, [&](size_t r) {
                offsets[k] = r * 32;
                for (size_t u = 0; u < UNITS; u++) factors[k * UNITS + u] = group * UNITS + u < m_ ? at(r, group * UNITS + u) : 0;
                k++;
            });
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
    weights_ = weights, factors_ = factors, panels_ = panels, offsets_ = offsets, starts_ = starts;
}

void RealMoments::less(float* tile, int word, int rows, size_t column) const {
    alignas(64) float own[UNITS * 32];
    for (int first = 0; first < rows; first += UNITS) {
        const size_t group = size_t(word) * GROUPS + first / UNITS;
        const size_t start = starts_[group], count = starts_[group + 1] - start;
        kernels_.dense_floats(factors_ + start * UNITS, offsets_ + start, count, UNITS, panels_ + column * v_.rows * 32, 32, own);
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
