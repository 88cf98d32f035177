#include "machine.hpp"

#include <math.h>
#include <omp.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <iterator>
#include <new>
#include <optional>
#include <utility>

#include "real.hpp"
#include "share.hpp"

namespace harmonium {

template <class T>
T* Buffer<T>::reserve(size_t n) {
    if (n > size_ || !data_) {  // memory also for nothing: a null pointer may not be copied to
        std::free(data_);
        size_ = 0;
        // Large buffers ask for large pages: a step walks through all of them, and misses in the page tables are slow.
        constexpr size_t HUGE = 2 << 20;
        const size_t alignment = n * sizeof(T) >= HUGE / 2 ? HUGE : 64;
        const size_t bytes = round_up(n * sizeof(T) + 64, alignment);
        data_ = static_cast<T*>(std::aligned_alloc(alignment, bytes));
        if (!data_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (alignment == HUGE) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: no harm if it is refused
#endif
        memset(static_cast<void*>(data_), 0, bytes);
        size_ = n;
    }
    return data_;
}
template class Buffer<float>;
template class Buffer<char>;
template class Buffer<double>;
template class Buffer<uint64_t>;

// Few enough to take all of them, and more than there are threads that work at a time.
static std::mutex packing[64];
static std::mutex& next_packing() {
    static std::atomic<size_t> taken{0};
    return packing[taken++ % std::size(packing)];
}
void lock_packing() {
    for (std::mutex& mutex : packing) mutex.lock();
}
void unlock_packing() {
    for (std::mutex& mutex : packing) mutex.unlock();
}

void Packed::shape(const Form& of, size_t n_sums, size_t units) {
    form = &of;
    n_units = int(units);
    n_blocks = int(round_up(n_sums, 64) / 64);
    n_columns = int(round_up(units, 32) / 32);
    scale.reserve(size_t(n_columns) * 32);
    inverse.reserve(round_up(units, 64));
}

// 2^e for -126 <= e <= 127.
static float power_of_two(int e) {
    const uint32_t bits = uint32_t(e + 127) << 23;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

bool Packed::fit(size_t unit, float largest, int n_bits) {
    uint32_t bits;
    memcpy(&bits, &largest, sizeof bits);
    // largest < 2^exponent. The inverse of the scale must be finite, too: smaller weights are nothing to a sigmoid.
    const int exponent = largest > 0 ? std::max(int(bits >> 23) - 126, -100) : 0;
    const float before = scale[unit];
    scale[unit] = power_of_two(exponent - n_bits);
    inverse[unit] = power_of_two(n_bits - exponent);
    return scale[unit] != before;
}

void Tiles::read(const Strided<float>& array) {
    for (size_t first = 0; first < n_visible_; first += 64)
        for (size_t column = 0; column < n_hidden_; column += 32) {
            const float* from = array.data + ptrdiff_t(column) * array.row_stride + ptrdiff_t(first) * array.column_stride;
            float* to = tile(first / 64, column / 32);
            const size_t rows = std::min(size_t(64), n_visible_ - first), width = std::min(size_t(32), n_hidden_ - column);
            for (size_t j = 0; j < rows; j++)
                for (size_t i = 0; i < width; i++) to[j * 32 + i] = from[ptrdiff_t(i) * array.row_stride + ptrdiff_t(j) * array.column_stride];
        }
}

void Tiles::write(float* array) const {
    for (size_t j = 0; j < n_visible_; j++)
        for (size_t i = 0; i < n_hidden_; i += 32)
            std::copy_n(&at(j, i), std::min(size_t(32), n_hidden_ - i), array + j * n_hidden_ + i);
}

Machine::Machine(const Kernels& kernels, const Strided<float>& W, const float* b, const float* c)
    : kernels_(kernels), m_(W.columns), n_(W.rows), W_(m_, n_), dW_(m_, n_), packing_(next_packing()) {
    for (Buffer<float>* x : {&b_, &db_}) x->reserve(round_up(m_, 64));
    for (Buffer<float>* x : {&c_, &dc_}) x->reserve(round_up(n_, 64));
    hidden_.exact.shape(kernels_.exact, m_, n_);
    visible_.exact.shape(kernels_.exact, n_, m_);
    if (kernels_.decide_early) hidden_.early.shape(kernels_.early, m_, n_), visible_.early.shape(kernels_.early, n_, m_);
    replace(W, b, c);
}

void Machine::replace(const Strided<float>& W, const float* b, const float* c) {
    W_.read(W);
    std::copy(b, b + m_, b_.get());
    std::copy(c, c + n_, c_.get());
    renew();
}

template <class Use>
void Machine::gradient_tiles(const Side* sides, int n_sides, const float* offset, float* v, float* h, Use use) const {
    const Kernels& k = kernels_;
    // All rows of all sides, one after the other, are the terms of the sums.
    std::vector<const uint64_t*> bits;
    std::vector<const float*> means;
    std::vector<float> weights;
    float largest = 0;
    for (int s = 0; s < n_sides; s++)
        for (size_t r = 0; r < sides[s].v.rows; r++) {
            bits.push_back(sides[s].v.words + r * sides[s].v.stride);
            means.push_back(sides[s].mean_h + r * n_);
            const float weight = sides[s].weights ? sides[s].weights[r] : 1.0f / float(sides[s].v.rows);
            weights.push_back(s == 0 ? weight : -weight);
            largest = std::max(largest, fabsf(weight));
        }
    // A unit that is always on is added to both layers: its sums are those of h, and of v.
    const size_t n_terms = bits.size();
    const int n_words = int(m_ / 64 + 1);
    static thread_local Packed packed_means;
    static thread_local Buffer<uint64_t> columns;
    static thread_local Buffer<char> prepared_bits;
    static thread_local Buffer<float> centred_sums;
    Packed& P = packed_means;
    P.shape(k.exact, n_terms, n_ + 1);
    P.reserve();
    P.fit(0, largest, 23);
    std::fill_n(P.scale.get(), 32, P.scale[0]);
    const int blocks = P.n_blocks;
    const float inverse = P.inverse[0];
    alignas(64) const float no_bias[32] = {};
    const int n_pairs = (P.n_columns + 1) / 2;
    // Two words of visible units, and the one that is always on, share a pass over the expectations.
    const int n_chunks = (n_words + 1) / 2;
    const auto rows_of = [&](int chunk) { return int(std::min(size_t(128), m_ + 1 - size_t(chunk) * 128)); };
    const size_t chunk_bytes = k.exact.prepared_bytes(int(std::min(size_t(128), m_ + 1)), blocks);
    float* sums = offset ? centred_sums.reserve(size_t(n_pairs) * 64) : nullptr;
    uint64_t* transposed = columns.reserve(size_t(n_words) * 64 * blocks);
    char* prepared = prepared_bits.reserve(n_chunks * chunk_bytes);
#pragma omp parallel num_threads(threads_for(double(m_) * n_ * blocks))
    {
        // Bits along the units become bits along the terms.
#pragma omp for schedule(static) collapse(2) nowait
        for (int word = 0; word < n_words; word++)
            for (int block = 0; block < blocks; block++) {
                uint64_t square[64];
                for (size_t r = 0; r < 64; r++) {
                    const bool exists = block * 64 + r < n_terms;
                    square[r] = exists && size_t(word) * 64 < m_ ? bits[block * 64 + r][word] : 0;
                    if (exists && size_t(word) == m_ / 64) square[r] |= uint64_t(1) << m_ % 64;
                }
                k.transpose_bits(square);
                for (size_t r = 0; r < 64; r++) transposed[(size_t(word) * 64 + r) * blocks + block] = square[r];
            }
        // The weighted expectations become fixed-point numbers.
        alignas(64) float rows[64 * 32];
        float factors[64];
        const auto pack_column = [&](int column) {
            const size_t first = size_t(column) * 32, width = std::min(size_t(32), n_ - first);
            if (offset) memset(sums + first, 0, 32 * sizeof(float));
            for (int block = 0; block < blocks; block++) {
                const size_t n_rows = std::min(size_t(64), n_terms - size_t(block) * 64);
                if (n_rows < 64 || width < 32) memset(rows, 0, sizeof rows);
                for (size_t r = 0; r < 64; r++) {
                    const size_t term = size_t(block) * 64 + r;
                    factors[r] = r < n_rows ? weights[term] * inverse : 0;
                    if (r >= n_rows) continue;
                    const float* from = means[term] + first;
                    float* to = rows + r * 32;
                    if (width == 32) memcpy(to, from, 32 * sizeof(float));  // a length that the compiler knows
                    else std::copy_n(from, width, to);
                    for (size_t i = 0; offset && i < width; i++) {
                        to[i] -= offset[first + i];
                        sums[first + i] += to[i] * weights[term];
                    }
                    if (width < 32) to[width] = 1;
                }
                k.pack_kn(rows, factors, nullptr, P.column(column), blocks, block);
            }
        };
        share(P.n_columns, [](int) { return 1; }, pack_column);
#pragma omp barrier
#pragma omp for schedule(static) collapse(2)
        for (int chunk = 0; chunk < n_chunks; chunk++)
            for (int block = 0; block < blocks; block++)
                k.exact.prepare(transposed + size_t(chunk) * 128 * blocks, blocks, rows_of(chunk), blocks, block, block + 1,
                          prepared + chunk * chunk_bytes);
        // In order, so that a thread packs the hidden units whose logits it will compute.
        alignas(64) float tiles[2][128 * 32];
        const auto multiply_and_use = [&](int pair, int chunk) {
            const size_t first = size_t(chunk) * 128;
            const int n_rows = rows_of(chunk), own = int(std::min(size_t(128), m_ - first));
            for (int half = 0; half < 2 && 2 * pair + half < P.n_columns; half++) {
                float* tile = tiles[half];
                const size_t column = size_t(2 * pair + half) * 32, width = std::min(size_t(32), n_ - column);
                k.product(prepared + chunk * chunk_bytes, n_rows, blocks, P.column(2 * pair + half),
                          width_of(n_ + 1, 2 * pair + half), P.scale.get(), no_bias, tile, 32);
                if (n_rows > own) memcpy(h + column, tile + own * 32, width * sizeof(float));
                for (int r = 0; r < own && width < 32; r++) {
                    v[first + r] = tile[r * 32 + width];
                    tile[r * 32 + width] = 0;
                }
            }
            for (int r = 0; r < own && size_t(pair) * 64 < n_; r += 64) {
                float* const halves[2] = {tiles[0] + r * 32, tiles[1] + r * 32};
                use(2 * chunk + r / 64, std::min(own - r, 64), pair, halves, sums);
            }
        };
        const auto cost = [&](int pair, int chunk) {
            double columns = 0;
            for (int i = 2 * pair; i < std::min(2 * pair + 2, P.n_columns); i++) columns += cost_of(width_of(n_ + 1, i));
            return columns * rows_of(chunk);
        };
        share(
            n_pairs * n_chunks, [&](int i) { return cost(i / n_chunks, i % n_chunks); },
            [&](int i) { multiply_and_use(i / n_chunks, i % n_chunks); });
    }
}

void Machine::moments(const Side& side, float* hv, float* v, float* h) const {
    const auto copy = [&](int word, int rows, int pair, float* const* tiles, const float*) {
        for (int half = 0; half < 2 && size_t(pair) * 64 + half * 32 < n_; half++) {
            const size_t column = size_t(pair) * 64 + half * 32, width = std::min(size_t(32), n_ - column);
            for (int r = 0; r < rows; r++)
                memcpy(hv + (size_t(word) * 64 + r) * n_ + column, tiles[half] + r * 32, width * sizeof(float));
        }
    };
    gradient_tiles(&side, 1, nullptr, v, h, copy);
}

static inline void follow(float& x, float& velocity, float gradient, Rates rates) {
    velocity = velocity * rates.momentum + (gradient - x * rates.weight_decay) * rates.learning_rate;
    x += velocity;
}

void Machine::ascend(Side positive, Side negative, Rates rates, Offsets offsets) {
    const Steps steps;
    const Side sides[] = {positive, negative};
    const Kernels& k = kernels_;
    std::optional<RealMoments> real;
    if (positive.real) real.emplace(k, positive, m_, n_);
    const bool centred = offsets.v && offsets.h;
    const size_t m_padded = round_up(m_, 64), n_padded = round_up(n_, 64), n_pairs = n_padded / 64, n_words = m_padded / 64;
    // The offsets, padded with zeros, and the sums of the weights' velocity with them, one for each tile: added up in a
    // fixed order at the end, they do not depend on the threads.
    static thread_local Buffer<float> offset_space;
    float *offset_v = nullptr, *offset_h = nullptr, *row_sums = nullptr, *column_sums = nullptr;
    if (centred) {
        offset_v = offset_space.reserve(m_padded + n_padded + n_pairs * m_padded + n_words * n_padded);
        offset_h = offset_v + m_padded, row_sums = offset_h + n_padded, column_sums = row_sums + n_pairs * m_padded;
        memset(offset_v, 0, (m_padded + n_padded + n_pairs * m_padded + n_words * n_padded) * sizeof(float));
        std::copy(offsets.v, offsets.v + m_, offset_v);
        std::copy(offsets.h, offsets.h + n_, offset_h);
    }
    static thread_local Buffer<float> gb, gc;
    float *v = gb.reserve(round_up(m_, 64)), *h = gc.reserve(round_up(n_, 64));
    for (Packed* copy : {&hidden_.exact, &hidden_.early, &visible_.exact, &visible_.early}) copy->current = std::exchange(copy->asked, false);
    forget_rows();
    std::vector<int> repack_early[2] = {std::vector<int>(visible_.exact.n_columns), std::vector<int>(hidden_.exact.n_columns)};
    const int n_threads = omp_get_max_threads();
    std::vector<Buffer<float>> column_max(n_threads), row_max(n_threads);  // of each thread, made where it is used
    // The tile that has been updated is packed at once, while it is in the cache, with the scales of the weights as they
    // were. A unit's scale changes when its largest weight passes a power of two; then its weights are packed again.
    const auto update = [&](int word, int rows, int pair, float* const* tiles, const float* h_sums) {
        const int thread = omp_get_thread_num();
        float *largest = column_max[thread].reserve(round_up(n_, 64)), *rows_largest = row_max[thread].reserve(round_up(m_, 64) * 16);
        for (int half = 0; half < 2 && size_t(pair) * 64 + half * 32 < n_; half++) {
            const size_t row = size_t(word) * 64, column = size_t(pair) * 64 + half * 32;
            float* velocity = dW_.tile(word, 2 * pair + half);
            if (real) real->less(tiles[half], word, rows, column / 32);
            if (centred) k.centre(tiles[half], rows, offset_v + row, h_sums + column);
            k.update(W_.tile(word, 2 * pair + half), velocity, tiles[half], rows, rates, largest + column, rows_largest + row * 16);
            if (centred)
                k.offset_sums(velocity, rows, offset_v + row, offset_h + column, row_sums + pair * m_padded + row,
                              column_sums + word * n_padded + column);
        }
        for (const bool hidden : {true, false}) {
            const Layer& layer = hidden ? hidden_ : visible_;
            const int block = hidden ? word : pair, first = 2 * (hidden ? pair : word);
            for (int column = first; column < std::min(first + 2, layer.exact.n_columns); column++) {
                if (layer.exact.current) pack(hidden, column, block);
                if (!layer.early.current) continue;
                const uint32_t outgrown = pack_early(hidden, column, block);
                if (!outgrown) continue;
#pragma omp atomic write
                repack_early[hidden][column] = 1;
            }
        }
    };
    // Of a real side the tiles are made one by one, and those of the bits taken off.
    if (real) gradient_tiles(&negative, 1, nullptr, v, h, update), real->less_v(v), real->less_h(h);
    else gradient_tiles(sides, 2, offset_h, v, h, update);
    const auto over_threads = [](const std::vector<Buffer<float>>& parts, size_t first, size_t count) {
        int32_t largest = 0;  // numbers that are not negative are in the order of their bits
        for (const Buffer<float>& part : parts)
            for (size_t i = 0; part.get() && i < count; i++) {
                int32_t bits;
                memcpy(&bits, &part[first + i], sizeof bits);
                largest = std::max(largest, bits);
            }
        float result;
        memcpy(&result, &largest, sizeof result);
        return result;
    };
    const auto refit = [&](bool hidden, int column) {
        Layer& layer = hidden ? hidden_ : visible_;
        bool changed = false;
        for (int unit = column * 32; unit < std::min(layer.exact.n_units, column * 32 + 32); unit++)
            changed |= layer.exact.fit(unit, hidden ? over_threads(column_max, unit, 1) : over_threads(row_max, unit * 16, 16), 23);
        for (int block = 0; changed && layer.exact.current && block < layer.exact.n_blocks; block++) pack(hidden, column, block);
        if (!layer.early.current || !(changed || repack_early[hidden][column])) return;
        fit_early(hidden, column);
        for (int block = 0; block < layer.early.n_blocks; block++) pack_early(hidden, column, block);
    };
#pragma omp parallel num_threads(threads_for(double(m_) * n_ / 2))
    {
#pragma omp for schedule(static) nowait
        for (int column = 0; column < visible_.exact.n_columns; column++) refit(false, column);
#pragma omp for schedule(static)
        for (int column = 0; column < hidden_.exact.n_columns; column++) refit(true, column);
    }
    rates.weight_decay = 0;
    for (size_t j = 0; j < m_; j++) follow(b_[j], db_[j], v[j], rates);
    for (size_t i = 0; i < n_; i++) follow(c_[i], dc_[i], h[i], rates);
    // What the centred machine's biases are to keep, the biases of this one must make up for.
    for (size_t pair = 0; centred && pair < n_pairs; pair++)
        for (size_t j = 0; j < m_; j++) b_[j] -= row_sums[pair * m_padded + j];
    for (size_t word = 0; centred && word < n_words; word++)
        for (size_t i = 0; i < n_; i++) c_[i] -= column_sums[word * n_padded + i];
}

void Machine::ascend_along(const float* gW, const float* gb, const float* gc, Rates rates) {
#pragma omp parallel for num_threads(threads_for(double(m_) * n_)) schedule(static)
    for (size_t j = 0; j < m_; j++)
        for (size_t i = 0; i < n_; i++) follow(W_.at(j, i), dW_.at(j, i), gW[j * n_ + i], rates);
    rates.weight_decay = 0;
    for (size_t j = 0; j < m_; j++) follow(b_[j], db_[j], gb[j], rates);
    for (size_t i = 0; i < n_; i++) follow(c_[i], dc_[i], gc[i], rates);
    renew();
}

}  // namespace harmonium
