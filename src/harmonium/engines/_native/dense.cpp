// Products of real matrices, spread over threads: the right side in panels of 128 bytes' width, the left side in blocks
// of four rows without the terms that are zero in all of them, which changes no sum.
#include <string.h>

#include <algorithm>
#include <vector>

#include "machine.hpp"

namespace harmonium {

static void dense(const Kernels& k, const float* x, const uint64_t* at, size_t n, int rows, const float* f, int width, float* out) {
    k.dense_floats(x, at, n, rows, f, width, out);
}
static void dense(const Kernels& k, const double* x, const uint64_t* at, size_t n, int rows, const double* f, int width, double* out) {
    k.dense_doubles(x, at, n, rows, f, width, out);
}

// out = x @ F + bias, where row t of panel c of F begins at panel(c) + offset(t).
template <class T, class Panel, class Offset>
static void product(const Kernels& k, const Strided<T>& x, size_t n, Panel panel, Offset offset, const T* bias, T* out) {
    constexpr size_t WIDTH = 128 / sizeof(T), BLOCK = 4, BLOCKS = 16;  // blocks that share a pass over a panel
    const size_t K = x.columns, fours = x.rows / BLOCK, n_blocks = fours + x.rows % BLOCK, n_panels = (n + WIDTH - 1) / WIDTH;
    const auto first_row = [&](size_t block) { return block < fours ? block * BLOCK : fours * BLOCK + block - fours; };
    const auto rows_of = [&](size_t block) { return block < fours ? BLOCK : 1; };
    // At most so many blocks at a time that what is made ready of them stays small.
    const size_t at_a_time = std::max<size_t>(1, std::min(n_blocks, (size_t(1) << 18) / std::max<size_t>(K, 1)));
    static thread_local Buffer<T> own_factors;
    static thread_local Buffer<uint64_t> own_offsets, own_counts;
    T* factors = own_factors.reserve(at_a_time * K * BLOCK);
    uint64_t *offsets = own_offsets.reserve(at_a_time * K), *counts = own_counts.reserve(at_a_time);
#pragma omp parallel num_threads(threads_for(double(x.rows) * K * n / 8))
    for (size_t start = 0; start < n_blocks; start += at_a_time) {
        const size_t stop = std::min(n_blocks, start + at_a_time), n_groups = (stop - start + BLOCKS - 1) / BLOCKS;
#pragma omp for schedule(static)
        for (size_t block = start; block < stop; block++) {
            const size_t rows = rows_of(block), slot = block - start;
            const T* from = x.data + ptrdiff_t(first_row(block)) * x.row_stride;
            T* to = factors + slot * K * BLOCK;
            size_t count = 0;
            for (size_t t = 0; t < K; t++, from += x.column_stride) {
                bool any = false;
                for (size_t r = 0; r < rows; r++) {
                    to[count * rows + r] = from[ptrdiff_t(r) * x.row_stride];
                    any |= to[count * rows + r] != 0;
                }
                offsets[slot * K + count] = offset(t);
                count += any;
            }
            counts[slot] = count;
        }
#pragma omp for schedule(static) collapse(2)
        for (size_t group = 0; group < n_groups; group++)
            for (size_t column = 0; column < n_panels; column++) {
                alignas(64) T tile[BLOCK * WIDTH];
                const size_t width = std::min(WIDTH, n - column * WIDTH);
                for (size_t block = start + group * BLOCKS; block < std::min(stop, start + (group + 1) * BLOCKS); block++) {
                    const size_t rows = rows_of(block), slot = block - start;
                    dense(k, factors + slot * K * BLOCK, offsets + slot * K, counts[slot], int(rows), panel(column), int(width), tile);
                    for (size_t r = 0; r < rows; r++) {
                        T* to = out + (first_row(block) + r) * n + column * WIDTH;
                        for (size_t i = 0; i < width; i++) to[i] = bias ? tile[r * WIDTH + i] + bias[column * WIDTH + i] : tile[r * WIDTH + i];
                    }
                }
            }
    }
}

template <class T>
void matmul(const Kernels& k, const Strided<T>& x, const T* F, size_t n, T* out) {
    constexpr size_t WIDTH = 128 / sizeof(T);
    const size_t K = x.columns, n_panels = (n + WIDTH - 1) / WIDTH;
    static thread_local Buffer<T> own_panels;
    T* panels = own_panels.reserve(n_panels * K * WIDTH);
#pragma omp parallel for num_threads(threads_for(double(K) * n)) schedule(static)
    for (size_t column = 0; column < n_panels; column++) {
        const size_t width = std::min(WIDTH, n - column * WIDTH);
        T* to = panels + column * K * WIDTH;
        for (size_t t = 0; t < K; t++, to += WIDTH) {
            std::copy_n(F + t * n + column * WIDTH, width, to);
            std::fill(to + width, to + WIDTH, T(0));
        }
    }
    product(k, x, n, [=](size_t column) { return panels + column * K * WIDTH; }, [](size_t t) { return t * WIDTH; },
            static_cast<const T*>(nullptr), out);
}
template void matmul(const Kernels&, const Strided<float>&, const float*, size_t, float*);
template void matmul(const Kernels&, const Strided<double>&, const double*, size_t, double*);

void Machine::dense_logits_h(const Strided<float>& v, float* out) const {
    product(kernels_, v, n_, [&](size_t column) { return W_.panel(column); }, [&](size_t t) { return W_.offset(t); }, c_.get(), out);
}

void elementwise(Elementwise function, const double* x, size_t n, double* out) {
    constexpr size_t CHUNK = 1024;
    const size_t n_chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads_for(double(n) * 8)) schedule(static)
    for (size_t chunk = 0; chunk < n_chunks; chunk++)
        function(x + chunk * CHUNK, std::min(CHUNK, n - chunk * CHUNK), out + chunk * CHUNK);
}

}  // namespace harmonium
