// The kernels of one instruction set: compiled once for each, with HARMONIUM_ISA naming it.
#include "kernels.hpp"

#include <math.h>

#include "dense.hpp"
#include "doubles.hpp"
#include "functions.hpp"
#include "philox.hpp"
#include "products.hpp"
#include "vec.hpp"
#ifdef HARMONIUM_AMX
#include "amx.hpp"
#else
#include "early.hpp"
#endif

namespace HARMONIUM_ISA {

using harmonium::NoiseKey;

static double uniform(uint32_t word) { return (word + 0.5) * 0x1p-32; }

// A single-precision comparison decides, and where it is too close to call, a double-precision one: the decision is
// always the one that (word + 1/2) / 2^32 < sigmoid(x) makes in double precision.
template <int N>
static inline uint32_t decide(const vf (&x)[N], const Logistic<N>& of_x, const uint32_t* words) {
    vf margin[N];
    each_of<N>([&](int i) {
        const vf u = to_float((vi)(load<vu>(words + i * LANES) >> 8)) * 0x1p-24f;
        margin[i] = of_x.above[i] - u * (of_x.t[i] + 1.0f);
    });
    uint32_t on = 0, close = 0;
    each_of<N>([&](int i) {
        on |= mask_bits(margin[i] > 0.0f) << i * LANES;
        close |= mask_bits(absolute(margin[i]) < 0x1p-19f) << i * LANES;
    });
    while (__builtin_expect(close != 0, 0)) {
        const int i = __builtin_ctz(close);
        close &= close - 1;
        const uint32_t exact = uniform(words[i]) < 1.0 / (1.0 + exponential(splat(-double(x[i / LANES][i % LANES])))[0]);
        on = (on & ~(1u << i)) | exact << i;
    }
    return on;
}

static bool settle(float x, uint32_t word) {
    const vu words = (vu){} + word;
    const vf one[] = {splat(x)};
    return decide(one, Logistic<1>(one), reinterpret_cast<const uint32_t*>(&words)) & 1;
}

template <bool SAMPLE, bool MEAN>
static inline void expect_rows(const float* tile, int rows, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out,
                               size_t stride, float* mean, size_t mean_stride) {
    const Noise noise = {key.seed_low, key.seed_high, key.step, key.stream};
    const int width = __builtin_popcount(valid);
    alignas(64) uint32_t words[2][32];
    alignas(64) float last[32];
    for (int r = 0; r < rows; r++, tile += 32) {
        if (SAMPLE && r % 2 == 0) random_words(noise, key.row + r, column, words);
        uint32_t bits = 0;
        float* to = width == 32 ? mean + r * mean_stride : last;
        for (int at = 0; at < 32; at += WIDTH) {
            vf x[TOGETHER];
            each_of<TOGETHER>([&](int i) { x[i] = load<vf>(tile + at + i * LANES); });
            const Logistic<TOGETHER> of_x(x);
            if (MEAN) each_of<TOGETHER>([&](int i) { store(to + at + i * LANES, of_x.mean(i)); });
            if (SAMPLE) bits |= decide(x, of_x, words[r % 2] + at) << at;
        }
        if (SAMPLE) out[r * stride] = bits & valid;
        if (MEAN && width < 32) memcpy(mean + r * mean_stride, last, width * sizeof(float));
    }
}

static void sample(const float* tile, int rows, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride) {
    expect_rows<true, false>(tile, rows, key, column, valid, out, stride, nullptr, 0);
}

static void expect(const float* tile, int rows, const NoiseKey* key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride,
                   float* mean, size_t mean_stride) {
    if (key) expect_rows<true, true>(tile, rows, *key, column, valid, out, stride, mean, mean_stride);
    else expect_rows<false, true>(tile, rows, {}, column, valid, nullptr, 0, mean, mean_stride);
}

static void draw(const float* tile, int rows, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride) {
    const Noise noise = {key.seed_low, key.seed_high, key.step, key.stream};
    uint32_t words[2][32];
    for (int r = 0; r < rows; r++) {
        if (r % 2 == 0) random_words(noise, key.row + r, column, words);
        uint32_t bits = 0;
        for (int i = 0; i < 32; i++) bits |= uint32_t(uniform(words[r % 2][i]) < double(tile[r * 32 + i])) << i;
        out[r * stride] = bits & valid;
    }
}

static void random(NoiseKey key, int rows, int columns, uint32_t* out) {
    const Noise noise = {key.seed_low, key.seed_high, key.step, key.stream};
    uint32_t words[2][32];
    for (int r = 0; r < rows; r += 2)
        for (int column = 0; column < columns; column += 32) {
            random_words(noise, key.row + r, column, words);
            const size_t n = columns - column < 32 ? columns - column : 32;
            for (int i = r; i < r + 2 && i < rows; i++) memcpy(out + size_t(i) * columns + column, words[i - r], 4 * n);
        }
}

static void affine(const float* x, size_t n, float beta, const float* offset, float* out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vf y = load<vf>(x + i) * beta;
        store(out + i, offset ? y + load<vf>(offset + i) : y);
    }
    for (; i < n; i++) out[i] = offset ? x[i] * beta + offset[i] : x[i] * beta;
}

static void mean(const float* logits, size_t n, float* out) {
    float last[32] = {};
    for (; n >= 32; n -= 32, logits += 32, out += 32) expect_rows<false, true>(logits, 1, {}, 0, ~0u, nullptr, 0, out, 0);
    memcpy(last, logits, n * sizeof(float));
    if (n) expect_rows<false, true>(last, 1, {}, 0, (1u << n) - 1, nullptr, 0, out, 0);
}

// In sixteen partial sums whatever the register width, so that the result does not depend on it.
static double softplus_sum(const float* logits, size_t n) {
    double partial[16] = {};
    float last[WIDTH] = {};
    for (size_t i = 0; i < n; i += WIDTH) {
        const size_t width = n - i < WIDTH ? n - i : WIDTH;
        if (width < WIDTH) memcpy(last, logits + i, width * sizeof(float));
        vf x[TOGETHER];
        each_of<TOGETHER>([&](int k) { x[k] = load<vf>((width < WIDTH ? last : logits + i) + k * LANES); });
        softplus(x);
        float y[WIDTH];
        each_of<TOGETHER>([&](int k) { store(y + k * LANES, x[k]); });
        if (width < WIDTH) memset(y + width, 0, (WIDTH - width) * sizeof(float));
        for (int from = 0; from < WIDTH; from += 16)
            for (int k = 0; k < 16; k++) partial[k] += double(y[from + k]);
    }
    double total = 0;
    for (double x : partial) total += x;
    return total;
}

template <bool learn>
static inline void walk(float* w, float* velocity, const float* gradient, int rows, harmonium::Rates rates, float* column_max,
                        float* row_max) {
    constexpr int REGISTERS = 32 / LANES, PARTS = 16 / LANES;
    vf columns[REGISTERS];
    for (int k = 0; k < REGISTERS; k++) columns[k] = load<vf>(column_max + k * LANES);
    for (int r = 0; r < rows; r++) {
        vf parts[PARTS];
        for (int k = 0; k < PARTS; k++) parts[k] = load<vf>(row_max + 16 * r + k * LANES);
        for (int k = 0; k < REGISTERS; k++) {
            const int at = r * 32 + k * LANES;
            vf x = load<vf>(w + at);
            if (learn) {
                const vf slope = load<vf>(gradient + at) - x * rates.weight_decay;
                const vf speed = load<vf>(velocity + at) * rates.momentum + slope * rates.learning_rate;
                x += speed;
                store(velocity + at, speed);
                store(w + at, x);
            }
            columns[k] = larger(columns[k], absolute(x));
            parts[k % PARTS] = larger(parts[k % PARTS], absolute(x));
        }
        for (int k = 0; k < PARTS; k++) store(row_max + 16 * r + k * LANES, parts[k]);
    }
    for (int k = 0; k < REGISTERS; k++) store(column_max + k * LANES, columns[k]);
}

static void update(float* w, float* velocity, const float* gradient, int rows, harmonium::Rates rates, float* column_max,
                   float* row_max) {
    walk<true>(w, velocity, gradient, rows, rates, column_max, row_max);
}

static void centre(float* gradient, int rows, const float* v, const float* h) {
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 32; i += LANES) {
            float* at = gradient + r * 32 + i;
            store(at, load<vf>(at) - load<vf>(h + i) * v[r]);
        }
}

// A row's sum is kept in sixteen parts whatever the register width, so that the result does not depend on it.
static void offset_sums(const float* x, int rows, const float* v, const float* h, float* row_sum, float* column_sum) {
    for (int r = 0; r < rows; r++) {
        float parts[16] = {};
        for (int i = 0; i < 32; i += LANES) {
            const vf at = load<vf>(x + r * 32 + i);
            store(column_sum + i, load<vf>(column_sum + i) + at * v[r]);
            store(parts + i % 16, load<vf>(parts + i % 16) + at * load<vf>(h + i));
        }
        float total = 0;
        for (float part : parts) total += part;
        row_sum[r] += total;
    }
}

static void maxima(const float* w, int rows, float* column_max, float* row_max) {
    walk<false>(const_cast<float*>(w), nullptr, nullptr, rows, {}, column_max, row_max);
}

static bool round_to(const double* x, const float* y, size_t n) {
    int32_t differ = 0;
    for (size_t i = 0; i < n; i++) differ |= float(x[i]) != y[i];
    return !differ;
}

static void transpose_bits(uint64_t block[64]) {
    uint64_t mask = 0x00000000ffffffffull;
    for (int width = 32; width; width >>= 1, mask ^= mask << width)
        for (int group = 0; group < 64; group += 2 * width)
            for (int i = group; i < group + width; i++) {
                const uint64_t swapped = ((block[i] >> width) ^ block[i + width]) & mask;
                block[i] ^= swapped << width;
                block[i + width] ^= swapped;
            }
}

static const harmonium::Kernels kernels = {
    HARMONIUM_ISA_NAME, MAX_ROWS,
#ifdef HARMONIUM_AMX
    {PACKED_BYTES_PER_BLOCK, prepared_bytes, prepare}, pack_kn, pack_nk, product,
    {}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
#else
    {PACKED_BYTES_PER_BLOCK, prepared_bytes<int32_t>, prepare<int32_t>}, pack_kn, pack_nk, product,
    {EARLY_BYTES_PER_BLOCK, prepared_early_bytes, prepare_early}, pack_early_kn, pack_early_nk, extents_kn, extents_nk,
    decide_early, sum_down, sum_across,
#endif
    settle,
    sample, expect, draw, random, affine, mean, softplus_sum, update, centre, offset_sums, maxima,
    dense<float>, dense<double>, each<exponential>, each<logarithm>, each<logistic>, each<softplus>,
    transpose_bits, products<false>, products<true>, log_products, exponentials_of_floats, each<quick_exponential>, add_rows_of_32, panel_moments<true>, panel_moments<false>,
    round_to,
};

}  // namespace HARMONIUM_ISA

namespace harmonium {
extern const Kernels* const HARMONIUM_TABLE;
const Kernels* const HARMONIUM_TABLE = &HARMONIUM_ISA::kernels;
}  // namespace harmonium
