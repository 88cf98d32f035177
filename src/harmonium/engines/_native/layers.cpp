// The two layers' logits, expectations and samples.
#include <math.h>
#include <string.h>

#include <algorithm>

#include "machine.hpp"
#include "share.hpp"

namespace harmonium {

// Calls use(first row, rows, column block, prepared) for every block of at most max_rows x 32 of bits @ packed, the blocks
// being disjoint, with the bits made ready for a product.
template <class Use>
static void for_blocks(const Kernels& k, Bits states, const Packed& packed, Use use) {
    const Form& form = *packed.form;
    const int n_blocks = packed.n_blocks;
    // Rows that are made ready together share one pass over the packed columns, which may have to come from far away. A
    // small layer's are near, and it has few columns to share among threads: they share its rows.
    const bool is_near = size_t(packed.n_columns) * n_blocks * form.packed_bytes_per_block <= size_t(1) << 18;
    const size_t most_parts = is_near ? 1 : 4, chunk_rows = most_parts * k.max_rows;
    const int n_chunks = int((states.rows + chunk_rows - 1) / chunk_rows);
    // An exponential and its noise take as long as the sums of a few blocks.
    const int threads = threads_for(double(states.rows) * packed.n_units * (n_blocks + 4));
    const auto rows_of = [&](int chunk) { return int(std::min(states.rows - chunk * chunk_rows, chunk_rows)); };
    const size_t part_bytes = form.prepared_bytes(int(std::min(states.rows, size_t(k.max_rows))), n_blocks);
    // A part is what one product takes.
    const auto rows_of_part = [&](int chunk, int part) { return std::min(k.max_rows, rows_of(chunk) - part * k.max_rows); };
    const auto n_parts = [&](int chunk) { return (rows_of(chunk) + k.max_rows - 1) / k.max_rows; };
    const auto run = [&](int chunk, int part, int column, const char* prepared) {
        use(chunk * chunk_rows + part * k.max_rows, rows_of_part(chunk, part), column, prepared + part * part_bytes);
    };
    const auto prepare = [&](int chunk, int part, int first, int last, char* prepared) {
        const uint64_t* words = states.words + (chunk * chunk_rows + part * k.max_rows) * states.stride;
        form.prepare(words, states.stride, rows_of_part(chunk, part), n_blocks, first, last, prepared + part * part_bytes);
    };
    if (n_chunks >= 2 * threads) {
#pragma omp parallel num_threads(threads)
        {
            static thread_local Buffer<char> prepared;
            prepared.reserve(most_parts * part_bytes);
#pragma omp for schedule(dynamic)
            for (int chunk = 0; chunk < n_chunks; chunk++) {
                for (int part = 0; part < n_parts(chunk); part++) prepare(chunk, part, 0, n_blocks, prepared.get());
                for (int column = 0; column < packed.n_columns; column++)
                    for (int part = 0; part < n_parts(chunk); part++) run(chunk, part, column, prepared.get());
            }
        }
        return;
    }
    static thread_local Buffer<char> shared;
    char* prepared = shared.reserve(most_parts * part_bytes);
#pragma omp parallel num_threads(threads)
    for (int chunk = 0; chunk < n_chunks; chunk++) {
        const int parts = n_parts(chunk);
#pragma omp for schedule(static) collapse(2)
        for (int part = 0; part < parts; part++)
            for (int block = 0; block < n_blocks; block++) prepare(chunk, part, block, block + 1, prepared);
        share(
            packed.n_columns * parts,
            [&](int i) { return rows_of_part(chunk, i % parts) * cost_of(width_of(packed.n_units, i / parts)); },
            [&](int i) { run(chunk, i % parts, i / parts, prepared); });
#pragma omp barrier
    }
}

static uint32_t valid_columns(size_t n, int column) { return ~0u >> (32 - width_of(n, column)); }

static void clear_last_half(uint64_t* out, size_t rows, size_t stride, size_t n) {
    if (n % 64 != 0 && n % 64 <= 32)
        for (size_t r = 0; r < rows; r++) out[r * stride + stride - 1] = 0;
}

static NoiseKey key_at(NoiseKey key, size_t row) {
    key.row += uint32_t(row);
    return key;
}

void Machine::logits(bool hidden, Bits states, float* out) const {
    const Packed& packed = ready(hidden, false);
    const Buffer<float>& bias = hidden ? c_ : b_;
    const size_t n = hidden ? n_ : m_;
    for_blocks(kernels_, states, packed, [&](size_t first, int rows, int column, const char* prepared) {
        alignas(64) float tile[128 * 32];
        const int width = width_of(n, column);
        float* to = out + first * n + column * 32;
        kernels_.product(prepared, rows, packed.n_blocks, packed.column(column), width, &packed.scale[column * 32], &bias[column * 32],
                         width == 32 ? to : tile, width == 32 ? n : 32);
        for (int r = 0; r < rows && width < 32; r++) memcpy(to + r * n, tile + r * 32, width * sizeof(float));
    });
}

// -b'v - sum softplus(a), from the first of them.
static void finish_free_energy(const Kernels& k, const float* a, size_t rows, size_t n, double* out) {
    static thread_local Buffer<double> space;
    double* sums = space.reserve(rows);
    softplus_sum(k, a, rows, n, {nullptr, nullptr, 1, 1, 0}, sums);
    for (size_t r = 0; r < rows; r++) out[r] = -out[r] - sums[r];
}

static thread_local Buffer<float> own_logits;

void Machine::free_energy(Bits v, double* out) const {
    float* a = own_logits.reserve(v.rows * n_);
    logits(true, v, a);
    dot(v, m_, b_.get(), out);
    finish_free_energy(kernels_, a, v.rows, n_, out);
}

void Machine::free_energy(const Strided<float>& v, double* out) const {
    float* a = own_logits.reserve(v.rows * n_);
    dense_logits_h(v, a);
    dot(v.data, v.rows, m_, b_.get(), out);
    finish_free_energy(kernels_, a, v.rows, n_, out);
}

void Machine::expect_h(Bits v, float* logits, float* mean, const NoiseKey* key, uint64_t* bits) const {
    const Packed& packed = ready(true, false);
    const size_t stride = round_up(n_, 64) / 64;
    if (bits) clear_last_half(bits, v.rows, stride, n_);
    for_blocks(kernels_, v, packed, [&](size_t first, int rows, int column, const char* prepared) {
        alignas(64) float tile[128 * 32];
        const size_t at = first * n_ + column * 32, width = width_of(n_, column);
        kernels_.product(prepared, rows, packed.n_blocks, packed.column(column), int(width), &packed.scale[column * 32],
                         &c_[column * 32], tile, 32);
        for (int r = 0; logits && r < rows; r++) memcpy(logits + at + r * n_, tile + r * 32, width * sizeof(float));
        uint32_t* to = reinterpret_cast<uint32_t*>(bits) + first * 2 * stride + column;
        const NoiseKey from = bits ? key_at(*key, first) : NoiseKey();
        if (mean)
            kernels_.expect(tile, rows, bits ? &from : nullptr, column * 32, valid_columns(n_, column), to, 2 * stride, mean + at, n_);
        else if (bits)
            kernels_.sample(tile, rows, from, column * 32, valid_columns(n_, column), to, 2 * stride);
    });
}

// Offsets in rows that a tile's whole width can be read from.
static Affine padded(const Affine& affine, size_t rows, size_t n) {
    if (!affine.offset || affine.stride % 32 == 0) return affine;
    static thread_local Buffer<float> space;
    Affine wide = affine;
    wide.stride = round_up(n, 32);
    const size_t groups = rows / affine.rows_of_offset;
    float* to = space.reserve(groups * wide.stride);
    for (size_t g = 0; g < groups; g++) memcpy(to + g * wide.stride, affine.offset + g * affine.stride, n * sizeof(float));
    wide.offset = to;
    return wide;
}

// Whether early decisions would leave few enough units open, at about this many on and these scales: just below this limit
// they still were a tenth faster than sums of 24 bits (ADR 8).
static bool leaves_few_open(const Packed& exact, Bits states, const Affine& affine) {
    constexpr float LARGEST_ERROR = 0.3f;
    size_t n_on = 0, n_rows = 0;
    for (size_t r = 0; r < states.rows; r += 1 + states.rows / 64, n_rows++)
        for (size_t w = 0; w < states.stride; w++) n_on += __builtin_popcountll(states.words[r * states.stride + w]);
    float scale = 0, steepest = affine.beta ? 0 : 1;
    for (int unit = 0; unit < exact.n_units; unit++) scale += std::min(exact.scale[unit], 1.0f);
    for (size_t r = 0; affine.beta && r < states.rows; r += affine.rows_of_beta) steepest = std::max(steepest, fabsf(affine.beta_of(r)));
    // Sums of 64 weights are some eight times as large as the largest weight, of which one in 2^15 is half a rounding.
    return float(n_on) / float(n_rows) * (scale / float(exact.n_units)) * 0x1p10f * steepest < LARGEST_ERROR;
}

bool Machine::decides_early(bool hidden, Bits states, const Affine& affine) const {
    const Layer& layer = hidden ? hidden_ : visible_;
    if (!kernels_.decide_early || !leaves_few_open(layer.exact, states, affine)) return false;
    // In training, where each step packs what is in use, few rows are not worth another copy.
    constexpr size_t FEW = 64;
    const std::lock_guard<std::mutex> lock(packing_);
    return layer.early.current || !layer.exact.current || states.rows >= FEW;
}

void Machine::sample(bool hidden, Bits states, NoiseKey key, const Affine& affine, uint64_t* out, size_t out_stride) const {
    const size_t n = hidden ? n_ : m_;
    clear_last_half(out, states.rows, out_stride, n);
    const Affine wide = padded(affine, states.rows, n);
    if (decides_early(hidden, states, wide)) return sample_early(hidden, states, key, wide, out, out_stride);
    const Packed& packed = ready(hidden, false);
    const Buffer<float>& bias = hidden ? c_ : b_;
    uint32_t* half_words = reinterpret_cast<uint32_t*>(out);
    for_blocks(kernels_, states, packed, [&](size_t first, int rows, int column, const char* prepared) {
        alignas(64) float tile[128 * 32];
        kernels_.product(prepared, rows, packed.n_blocks, packed.column(column), width_of(n, column), &packed.scale[column * 32],
                         &bias[column * 32], tile, 32);
        for (int r = 0; r < rows && (wide.beta || wide.offset); r++) {
            const float* offset = wide.offset_of(first + r);
            kernels_.affine(tile + r * 32, 32, wide.beta_of(first + r), offset ? offset + column * 32 : nullptr, tile + r * 32);
        }
        kernels_.sample(tile, rows, key_at(key, first), column * 32, valid_columns(n, column), half_words + first * 2 * out_stride + column,
                        2 * out_stride);
    });
}

void Machine::sample_early(bool hidden, Bits states, NoiseKey key, const Affine& affine, uint64_t* out, size_t out_stride) const {
    const Packed& packed = ready(hidden, true);
    const float* rows = hidden ? rows_h() : nullptr;
    const Buffer<float>& bias = hidden ? c_ : b_;
    const size_t n = hidden ? n_ : m_;
    uint32_t* half_words = reinterpret_cast<uint32_t*>(out);
    for_blocks(kernels_, states, packed, [&](size_t first, int n_rows, int column, const char* prepared) {
        Open open[128 * 32];
        uint32_t* to = half_words + first * 2 * out_stride + column;
        const int n_open = kernels_.decide_early(prepared, n_rows, packed.n_blocks, packed.column(column), &packed.scale[column * 32],
                                                 &bias[column * 32], affine, first, key_at(key, first), column * 32,
                                                 valid_columns(n, column), to, 2 * out_stride, open);
        if (hidden) n_open_h_ += n_open;
        for (int i = 0; i < n_open; i++) {
            const size_t row = first + open[i].row, unit = column * 32 + open[i].column;
            const float* offset = affine.offset_of(row);
            float x = logit(hidden, unit, states.words + row * states.stride, rows);
            kernels_.affine(&x, 1, affine.beta_of(row), offset ? offset + unit : nullptr, &x);
            const uint32_t bit = uint32_t(1) << open[i].column;
            uint32_t& word = to[open[i].row * 2 * out_stride];
            word = kernels_.settle(x, open[i].word) ? word | bit : word & ~bit;
        }
    });
}

float Machine::logit(bool hidden, size_t unit, const uint64_t* bits, const float* rows) const {
    const Packed& exact = hidden ? hidden_.exact : visible_.exact;
    const float factor = exact.inverse[unit];
    int64_t sum;
    if (hidden && !rows)
        sum = kernels_.sum_down(W_.tile(0, unit / 32), W_.stride(), exact.n_blocks, factor, bits, unit % 32);
    else if (hidden)
        sum = kernels_.sum_across(rows + unit * row_length(), 32, exact.n_blocks, factor, bits);
    else
        sum = kernels_.sum_across(W_.tile(unit / 64, 0) + unit % 64 * 32, 2048, exact.n_blocks, factor, bits);
    return float(sum) * exact.scale[unit] + (hidden ? c_ : b_)[unit];
}

}  // namespace harmonium
