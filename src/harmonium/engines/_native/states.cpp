// Elementwise verbs: sampling from given logits or probabilities, means, sums, and packing of states.
#include <math.h>
#include <string.h>

#include <algorithm>

#include "machine.hpp"

namespace harmonium {

static uint32_t valid_columns(size_t n, size_t column) { return n - column >= 32 ? ~0u : (1u << (n - column)) - 1; }

// Calls use(tile, rows, key, column, valid, out words) for tiles of at most 4 x 32 of a float matrix.
template <class Use>
static void for_noisy_tiles(const float* x, size_t rows, size_t n, NoiseKey key, uint64_t* out, size_t out_stride, Use use) {
    constexpr size_t CHUNK = 4;  // even, as noise is made for two rows at a time
    const int n_chunks = int((rows + CHUNK - 1) / CHUNK);
    uint32_t* half_words = reinterpret_cast<uint32_t*>(out);
#pragma omp parallel for num_threads(threads_for(double(rows) * n * 8)) schedule(static)
    for (int chunk = 0; chunk < n_chunks; chunk++) {
        const size_t first = chunk * CHUNK, count = std::min(CHUNK, rows - first);
        NoiseKey at = key;
        at.row += uint32_t(first);
        alignas(64) float tile[CHUNK * 32] = {};
        for (size_t column = 0; column < out_stride * 64; column += 32) {
            uint32_t* to = half_words + first * 2 * out_stride + column / 32;
            if (column >= n) {
                for (size_t r = 0; r < count; r++) to[r * 2 * out_stride] = 0;
                continue;
            }
            const size_t width = std::min(size_t(32), n - column);
            for (size_t r = 0; r < count; r++) memcpy(tile + r * 32, x + (first + r) * n + column, width * sizeof(float));
            use(tile, int(count), first, at, uint32_t(column), valid_columns(n, column), to);
        }
    }
}

void bernoulli(const Kernels& k, const float* logits, size_t rows, size_t n, NoiseKey key, const Affine& affine, uint64_t* out,
               size_t out_stride) {
    for_noisy_tiles(logits, rows, n, key, out, out_stride,
                    [&](float* tile, int count, size_t first, NoiseKey at, uint32_t column, uint32_t valid, uint32_t* to) {
                        for (int r = 0; r < count && (affine.beta || affine.offset); r++) {
                            const float* offset = affine.offset_of(first + r);
                            k.affine(tile + r * 32, std::min(size_t(32), n - column), affine.beta_of(first + r),
                                     offset ? offset + column : nullptr, tile + r * 32);
                        }
                        k.sample(tile, count, at, column, valid, to, 2 * out_stride);
                    });
}

void draw(const Kernels& k, const float* p, size_t rows, size_t n, NoiseKey key, uint64_t* out, size_t out_stride) {
    for_noisy_tiles(p, rows, n, key, out, out_stride,
                    [&](float* tile, int count, size_t, NoiseKey at, uint32_t column, uint32_t valid, uint32_t* to) {
                        k.draw(tile, count, at, column, valid, to, 2 * out_stride);
                    });
}

static void apply(const Kernels& k, const Affine& affine, const float* x, size_t row, size_t n, float* out) {
    k.affine(x + row * n, n, affine.beta_of(row), affine.offset_of(row), out);
}

void mean(const Kernels& k, const float* logits, size_t rows, size_t n, const Affine& affine, float* out) {
    if (affine.beta || affine.offset) {
#pragma omp parallel for num_threads(threads_for(double(rows) * n * 4)) schedule(static)
        for (size_t r = 0; r < rows; r++) {
            apply(k, affine, logits, r, n, out + r * n);
            k.mean(out + r * n, n, out + r * n);
        }
        return;
    }
    constexpr size_t CHUNK = 2048;
    const size_t size = rows * n, n_chunks = (size + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads_for(double(size) * 3)) schedule(static)
    for (size_t chunk = 0; chunk < n_chunks; chunk++) {
        const size_t first = chunk * CHUNK;
        k.mean(logits + first, std::min(CHUNK, size - first), out + first);
    }
}

void softplus_sum(const Kernels& k, const float* logits, size_t rows, size_t n, const Affine& affine, double* out) {
#pragma omp parallel num_threads(threads_for(double(rows) * n * 8))
    {
        static thread_local Buffer<float> space;
#pragma omp for schedule(static)
        for (size_t r = 0; r < rows; r++) {
            const float* x = logits + r * n;
            if (affine.beta || affine.offset) {
                apply(k, affine, logits, r, n, space.reserve(n));
                x = space.get();
            }
            out[r] = k.softplus_sum(x, n);
        }
    }
}

void encode(const uint8_t* X, size_t rows, size_t n, uint64_t* out, size_t out_stride) {
#pragma omp parallel for num_threads(threads_for(double(rows) * n * 8)) schedule(static)
    for (size_t r = 0; r < rows; r++)
        for (size_t w = 0; w < out_stride; w++) {
            uint64_t word = 0;
            const uint8_t* x = X + r * n + w * 64;
            for (size_t i = 0; i < std::min(size_t(64), n - w * 64); i++) word |= uint64_t(x[i] != 0) << i;
            out[r * out_stride + w] = word;
        }
}

void decode(Bits states, size_t n, uint8_t* out) {
#pragma omp parallel for num_threads(threads_for(double(states.rows) * n)) schedule(static)
    for (size_t r = 0; r < states.rows; r++)
        for (size_t i = 0; i < n; i++) out[r * n + i] = states.words[r * states.stride + i / 64] >> (i % 64) & 1;
}

// The sum of n products from the first on.
static double sum_in_pairs(const float* v, const float* x, size_t n) {
    if (n > 128) {
        const size_t half = n / 2 - n / 2 % 8;
        return sum_in_pairs(v, x, half) + sum_in_pairs(v + half, x + half, n - half);
    }
    double parts[8] = {}, total = 0;
    const size_t whole = n < 8 ? 0 : n - n % 8;
    for (size_t i = 0; i < whole; i++) parts[i % 8] += double(v[i]) * double(x[i]);
    total = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
    for (size_t i = whole; i < n; i++) total += double(v[i]) * double(x[i]);
    return total;
}

void dot(const float* v, size_t rows, size_t n, const float* x, double* out) {
#pragma omp parallel for num_threads(threads_for(double(rows) * n)) schedule(static)
    for (size_t r = 0; r < rows; r++) out[r] = sum_in_pairs(v + r * n, x, n);
}

void dot(Bits states, size_t n, const float* x, double* out) {  // bits beyond n are zero
#pragma omp parallel for num_threads(threads_for(double(states.rows) * n)) schedule(static)
    for (size_t r = 0; r < states.rows; r++) {
        double total = 0;
        for (size_t w = 0; w < states.stride; w++)
            for (uint64_t left = states.words[r * states.stride + w]; left; left &= left - 1)
                total += double(x[w * 64 + __builtin_ctzll(left)]);
        out[r] = total;
    }
}

}  // namespace harmonium
