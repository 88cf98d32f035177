// The two layers' logits and samples, and the copies of the weights that they are made from.
#include <float.h>
#include <math.h>
#include <string.h>

#include <algorithm>

#include "machine.hpp"

namespace harmonium {

void Machine::renew() {
    Buffer<float> column_max(round_up(n_, 64)), row_max(round_up(m_, 64) * 16);
    for (size_t j = 0; j < m_; j += 64)
        for (size_t i = 0; i < n_; i += 32) kernels_.maxima(W_.tile(j / 64, i / 32), 64, &column_max[i], &row_max[j * 16]);
    for (size_t j = 0; j < m_; j++) visible_.exact.fit(j, *std::max_element(&row_max[j * 16], &row_max[j * 16] + 16), 23);
    for (size_t i = 0; i < n_; i++) hidden_.exact.fit(i, column_max[i], 23);
    for (Packed* copy : {&hidden_.exact, &hidden_.early, &visible_.exact, &visible_.early}) copy->current = copy->asked = false;
    forget_rows();
}

// Where the weights of 32 units of a layer and of 64 of the other are: a tile of them, or halves of two.
struct Place {
    const float *first, *second;  // the second one for visible units
};
static Place place(const Tiles& W, bool hidden, int column, int block) {
    if (hidden) return {W.tile(block, column), nullptr};
    const int half = column % 2 * 1024;
    return {W.tile(column / 2, 2 * block) + half, W.tile(column / 2, 2 * block + 1) + half};
}

void Machine::pack(bool hidden, int column, int block) {
    Packed& to = (hidden ? hidden_ : visible_).exact;
    const Place at = place(W_, hidden, column, block);
    const float* factors = &to.inverse[column * 32];
    if (hidden) kernels_.pack_kn(at.first, nullptr, factors, to.column(column), to.n_blocks, block);
    else kernels_.pack_nk(at.first, at.second, factors, to.column(column), to.n_blocks, block);
}

uint32_t Machine::pack_early(bool hidden, int column, int block) {
    Packed& to = (hidden ? hidden_ : visible_).early;
    const Place at = place(W_, hidden, column, block);
    const float* factors = &to.inverse[column * 32];
    return hidden ? kernels_.pack_early_kn(at.first, factors, to.column(column), block)
                  : kernels_.pack_early_nk(at.first, at.second, factors, to.column(column), block);
}

void Machine::fit_early(bool hidden, int column) {
    Packed& to = (hidden ? hidden_ : visible_).early;
    float extents[32] = {};
    for (int block = 0; block < to.n_blocks; block++) {
        const Place at = place(W_, hidden, column, block);
        hidden ? kernels_.extents_kn(at.first, extents) : kernels_.extents_nk(at.first, at.second, extents);
    }
    // A hundredth more, for the rounding of sums and of each number. Where weights are not finite the scale is so large
    // that the second pass decides.
    for (int i = 0; i < std::min(32, to.n_units - column * 32); i++)
        to.fit(column * 32 + i, extents[i] <= FLT_MAX ? extents[i] * 1.01f : INFINITY, 15);
}

Packed& Machine::ready(bool hidden, bool early) const {
    // Not a change that anybody can see: the copies hold what W says.
    Machine& self = const_cast<Machine&>(*this);
    Layer& layer = hidden ? self.hidden_ : self.visible_;
    Packed& copy = early ? layer.early : layer.exact;
    const std::lock_guard<std::mutex> lock(packing_);
    copy.asked = true;
    if (copy.current) return copy;
    copy.reserve();
#pragma omp parallel for num_threads(threads_for(double(m_) * n_)) schedule(static)
    for (int column = 0; column < copy.n_columns; column++) {
        if (early) self.fit_early(hidden, column);
        for (int block = 0; block < copy.n_blocks; block++) early ? void(self.pack_early(hidden, column, block)) : self.pack(hidden, column, block);
    }
    copy.current = true;
    return copy;
}

std::vector<std::string> Machine::copies() const {
    const std::lock_guard<std::mutex> lock(packing_);
    std::vector<std::string> names;
    for (const bool hidden : {true, false}) {
        const Layer& layer = hidden ? hidden_ : visible_;
        const std::string of = hidden ? " h" : " v";
        if (layer.exact.current) names.push_back("exact" + of);
        if (layer.early.current) names.push_back("early" + of);
    }
    if (rows_h_current_) names.push_back("rows h");
    return names;
}

// Calls use(first row, rows, column block, prepared) for every block of at most max_rows x 32 of bits @ packed, the blocks
// being disjoint, with the bits made ready for a product.
template <class Use>
static void for_blocks(const Kernels& k, Bits states, const Packed& packed, Use use) {
    const Form& form = *packed.form;
    // Rows that are made ready together share one pass over the packed columns, which may have to come from far away.
    const size_t chunk_rows = size_t(4) * k.max_rows;
    const int n_chunks = int((states.rows + chunk_rows - 1) / chunk_rows);
    const int threads = threads_for(double(states.rows) * packed.n_units * packed.n_blocks);
    const int n_blocks = packed.n_blocks;
    const auto rows_of = [&](int chunk) { return int(std::min(states.rows - chunk * chunk_rows, chunk_rows)); };
    const size_t part_bytes = form.prepared_bytes(int(std::min(states.rows, size_t(k.max_rows))), n_blocks);
    // A part is what one product takes.
    const auto rows_of_part = [&](int chunk, int part) { return std::min(k.max_rows, rows_of(chunk) - part * k.max_rows); };
    const auto n_parts = [&](int chunk) { return (rows_of(chunk) + k.max_rows - 1) / k.max_rows; };
    const auto run = [&](int chunk, int column, const char* prepared) {
        for (int part = 0; part < n_parts(chunk); part++)
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
            prepared.reserve(4 * part_bytes);
#pragma omp for schedule(dynamic)
            for (int chunk = 0; chunk < n_chunks; chunk++) {
                for (int part = 0; part < n_parts(chunk); part++) prepare(chunk, part, 0, n_blocks, prepared.get());
                for (int column = 0; column < packed.n_columns; column++) run(chunk, column, prepared.get());
            }
        }
        return;
    }
    static thread_local Buffer<char> shared;
    char* prepared = shared.reserve(4 * part_bytes);
#pragma omp parallel num_threads(threads)
    for (int chunk = 0; chunk < n_chunks; chunk++) {
        const int parts = n_parts(chunk);
#pragma omp for schedule(static) collapse(2)
        for (int part = 0; part < parts; part++)
            for (int block = 0; block < n_blocks; block++) prepare(chunk, part, block, block + 1, prepared);
#pragma omp for schedule(static)
        for (int column = 0; column < packed.n_columns; column++) run(chunk, column, prepared);
    }
}

static uint32_t valid_columns(size_t n, int column) {
    const size_t left = n - size_t(column) * 32;
    return left >= 32 ? ~0u : (1u << left) - 1;
}

void Machine::logits(bool hidden, Bits states, float* out) const {
    const Packed& packed = ready(hidden, false);
    const Buffer<float>& bias = hidden ? c_ : b_;
    const size_t n = hidden ? n_ : m_;
    for_blocks(kernels_, states, packed, [&](size_t first, int rows, int column, const char* prepared) {
        alignas(64) float tile[128 * 32];
        const size_t width = std::min(size_t(32), n - column * 32);
        float* to = out + first * n + column * 32;
        kernels_.product(prepared, rows, packed.n_blocks, packed.column(column), &packed.scale[column * 32], &bias[column * 32],
                         width == 32 ? to : tile, width == 32 ? n : 32);
        for (int r = 0; r < rows && width < 32; r++) memcpy(to + r * n, tile + r * 32, width * sizeof(float));
    });
}

static void clear_last_half(uint64_t* out, size_t rows, size_t stride, size_t n) {
    if (n % 64 != 0 && n % 64 <= 32)
        for (size_t r = 0; r < rows; r++) out[r * stride + stride - 1] = 0;
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

static NoiseKey key_at(NoiseKey key, size_t row) {
    key.row += uint32_t(row);
    return key;
}

// Whether early decisions would leave few enough units open, at about this many on and these scales; a second pass takes
// some forty times as long as a unit's share of the first.
static bool leaves_few_open(const Packed& exact, Bits states, const Affine& affine) {
    constexpr float LARGEST_ERROR = 0.1f;
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
        kernels_.product(prepared, rows, packed.n_blocks, packed.column(column), &packed.scale[column * 32], &bias[column * 32], tile, 32);
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

// Reading one hidden unit's weights from the tiles takes a line of the cache for each. When that has cost about as much as
// a copy in another order, the copy is made; a step of training comes before that.
const float* Machine::rows_h() const {
    Machine& self = const_cast<Machine&>(*this);
    const std::lock_guard<std::mutex> lock(packing_);
    if (!rows_h_current_ && n_open_h_ > 4 * n_) {
        float* rows = self.rows_h_.reserve(row_length() * n_);
#pragma omp parallel for num_threads(threads_for(double(m_) * n_)) schedule(static)
        for (size_t first = 0; first < n_; first += 32)
            for (size_t j = 0; j < m_; j++)
                for (size_t i = first; i < std::min(n_, first + 32); i++) rows[i * row_length() + j] = W_.at(j, i);
        self.rows_h_current_ = true;
    }
    return rows_h_current_ ? rows_h_.get() : nullptr;
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
