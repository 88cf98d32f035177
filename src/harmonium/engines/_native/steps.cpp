// Whole steps of sampling and of training.
#include <algorithm>
#include <optional>

#include "machine.hpp"

namespace harmonium {

void Machine::sweeps(const uint64_t* start, const Strided<float>* real, uint64_t* v, uint64_t* h, size_t rows, NoiseKey key_h, NoiseKey key_v, size_t n,
                     const Affine& of_h, const Affine& of_v, const uint64_t* free) const {
    const std::optional<Steps> steps = n > 1 ? std::optional<Steps>(std::in_place) : std::nullopt;
    const size_t stride_v = round_up(m_, 64) / 64, stride_h = round_up(n_, 64) / 64, size = rows * stride_v;
    if (!real && v != start) std::copy_n(start, size, v);
    for (size_t sweep = 0; sweep < n; sweep++, key_h.step++, key_v.step++) {
        if (real && sweep == 0) {
            static thread_local Buffer<float> logits;
            dense_logits_h(*real, logits.reserve(rows * n_));
            bernoulli(kernels_, logits.get(), rows, n_, key_h, of_h, h, stride_h);
        } else {
            sample(true, {v, rows, stride_v}, key_h, of_h, h, stride_h);
        }
        sample(false, {h, rows, stride_h}, key_v, of_v, v, stride_v);
        for (size_t i = 0; free && i < size; i++) v[i] = (start[i] & ~free[i]) | (v[i] & free[i]);
    }
}

// The weighted mean of rows, added up row after row, or `before` moved by a share of the way to it.
static void slide(const float* x, size_t rows, size_t n, const float* weights, const float* before, float share, float* out) {
    const float equal = float(1.0 / double(rows));
    for (size_t r = 0; r < rows; r++) {
        const float weight = weights ? weights[r] : equal;
        for (size_t i = 0; i < n; i++) out[i] = r ? out[i] + weight * x[r * n + i] : weight * x[i];
    }
    for (size_t i = 0; before && i < n; i++) out[i] = before[i] + share * (out[i] - before[i]);
}

void Machine::contrast(const Contrast& step, Rates rates) {
    const Steps steps;
    static thread_local Buffer<float> means;
    static thread_local Buffer<uint64_t> own_h;
    const Bits batch = step.batch;
    const size_t stride_v = round_up(m_, 64) / 64, stride_h = round_up(n_, 64) / 64, n_chains = step.n_chains;
    float* positive = means.reserve(batch.rows * n_);
    uint64_t* h = own_h.reserve(n_chains * stride_h);
    const Affine as_it_is = {nullptr, nullptr, 1, 1, 0};
    if (step.real) {
        dense_logits_h(*step.real, positive);
        if (!step.start) bernoulli(kernels_, positive, batch.rows, n_, step.key, as_it_is, h, stride_h);
        harmonium::mean(kernels_, positive, batch.rows, n_, as_it_is, positive);
    } else {
        expect_h(batch, nullptr, positive, &step.key, step.start ? nullptr : h);
    }
    if (step.centre_v) slide(positive, batch.rows, n_, step.weights, step.centre_h, step.share, step.centre);
    NoiseKey key_v = step.key_v;
    sample(false, {step.start ? step.start : h, n_chains, stride_h}, key_v, as_it_is, step.v, stride_v);
    key_v.step++;
    sweeps(step.v, nullptr, step.v, h, n_chains, step.key_h, key_v, step.n_sweeps - 1, as_it_is, as_it_is, nullptr);
    const Bits v = {step.v, n_chains, stride_v};
    expect_h(v, step.logits, step.mean, &step.key, step.start ? step.h : nullptr);
    const Offsets offsets = step.centre_v ? Offsets{step.centre_v, step.centre} : Offsets{nullptr, nullptr};
    ascend({batch, positive, step.weights, step.real}, {v, step.mean, step.start ? nullptr : step.weights, nullptr}, rates, offsets);
}

template <class T>
static T* gather(const T* data, size_t stride, const int64_t* numbers, size_t n, Buffer<T>& space) {
    T* to = space.reserve(n * stride);
    for (size_t r = 0; r < n; r++) std::copy_n(data + size_t(numbers[r]) * stride, stride, to + r * stride);
    return to;
}

void Machine::contrasts(Contrast step, const int64_t* numbers, const std::vector<Rates>& rates) {
    static thread_local Buffer<uint64_t> words;
    static thread_local Buffer<float> reals, before;
    const Contrast data = step;
    const size_t n_rows = step.batch.rows;
    Strided<float> real = {};
    for (const Rates& now : rates) {
        if (numbers && data.real) {
            real = {gather(data.real->data, m_, numbers, n_rows, reals), n_rows, m_, ptrdiff_t(m_), 1};
            step.real = &real;
        } else if (numbers) {
            step.batch.words = gather(data.batch.words, data.batch.stride, numbers, n_rows, words);
        }
        contrast(step, now);
        if (numbers) numbers += n_rows;
        step.key.step++;
        step.key_h.step += uint32_t(step.n_sweeps), step.key_v.step += uint32_t(step.n_sweeps);
        if (step.start) step.start = step.h;
        if (step.centre_v) step.centre_h = std::copy_n(step.centre, n_, before.reserve(n_)) - n_;
    }
}

}  // namespace harmonium
