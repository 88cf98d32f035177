// Most samples need no sum of 24-bit numbers: a sum of 16-bit ones, with twice as many in a register, is near enough to
// the logit wherever the uniform number is not near the probability. The other units are left open, for a second pass.
// ADR 8 derives how near is near.
#pragma once

#include "functions.hpp"
#include "lookup.hpp"
#include "philox.hpp"

namespace HARMONIUM_ISA {

// The packed form of 32 columns of F: 64-row blocks of 64 x 32 integers, and for each column the largest sum, in units of
// its scale, that some of the block's roundings can have, whatever its sign.
constexpr size_t EARLY_BYTES_PER_BLOCK = BLOCK_NUMBERS * sizeof(int16_t) + 32 * sizeof(float);

static char* early_at(void* columns, int block) { return static_cast<char*>(columns) + block * EARLY_BYTES_PER_BLOCK; }
static float* roundings_at(char* at) { return reinterpret_cast<float*>(at + BLOCK_NUMBERS * sizeof(int16_t)); }

// The same for numbers that are not integers: sums of the positive and of all.
struct Subsets {
    vf positive = {}, all = {};
    void add(vf x) {
        positive += larger(x, splat(0.0f));
        all += x;
    }
    vf largest() const { return larger(positive, positive - all); }
};

// The columns of which some numbers of this block could have a sum of more than 16 bits.
static inline uint32_t over(const Bound& bound) {
    return mask_bits((vi)((bound.positive > 32767u) | ((bound.positive - bound.all) > 32767u)));
}

static uint32_t pack_early_kn(const float* x, const float* n_factors, void* columns, int block) {
    char* out = early_at(columns, block);
    uint32_t outgrown = 0;
    for (int n = 0; n < 32; n += 2 * LANES) {
        Bound sums[2];
        Subsets roundings[2];
        for (int k = 0; k < 64; k++) {
            vi q[2];
            for (int i = 0; i < 2; i++) {
                const int at = n + i * LANES;
                const vf y = load<vf>(x + k * 32 + at) * load<vf>(n_factors + at);
                q[i] = to_nearest(y);
                sums[i].add(q[i]);
                roundings[i].add(y - to_float(q[i]));
            }
            store(reinterpret_cast<int16_t*>(out) + k * 32 + n, pairs(q[0], q[1]));
        }
        for (int i = 0; i < 2; i++) {
            outgrown |= over(sums[i]) << (n + i * LANES);
            store(roundings_at(out) + n + i * LANES, roundings[i].largest());
        }
    }
    return outgrown;
}

static uint32_t pack_early_nk(const float* low, const float* high, const float* n_factors, void* columns, int block) {
    alignas(64) float turned[64 * 32];
    for (int n = 0; n < 32; n += LANES)
        for (int k = 0; k < 64; k += LANES) {
            vi square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = (vi)load<vf>((k < 32 ? low : high) + (n + i) * 32 + k % 32);
            transpose(square);
            for (int i = 0; i < LANES; i++) store(turned + (k + i) * 32 + n, square[i]);
        }
    return pack_early_kn(turned, n_factors, columns, block);
}

// The largest of what was there and the sums of a block's positive and negative numbers; NaN and infinity stay.
static inline float larger_extent(float extent, float positive, float negative) {
    if (!(positive <= extent)) extent = positive;
    return negative <= extent ? extent : negative;
}

static void extents_kn(const float* x, float* extents) {
    for (int n = 0; n < 32; n += LANES) {
        vf positive = {}, negative = {};
        for (int k = 0; k < 64; k++) {
            const vf y = load<vf>(x + k * 32 + n);
            positive += select(y > 0.0f, y, splat(0.0f));
            negative -= select(y > 0.0f, splat(0.0f), y);
        }
        for (int i = 0; i < LANES; i++) extents[n + i] = larger_extent(extents[n + i], positive[i], negative[i]);
    }
}

static void extents_nk(const float* low, const float* high, float* extents) {
    for (int n = 0; n < 32; n++) {
        vf positive = {}, negative = {};
        for (int k = 0; k < 64; k += LANES) {
            const vf y = load<vf>((k < 32 ? low : high) + n * 32 + k % 32);
            positive += select(y > 0.0f, y, splat(0.0f));
            negative -= select(y > 0.0f, splat(0.0f), y);
        }
        for (int i = 1; i < LANES; i++) positive[0] += positive[i], negative[0] += negative[i];
        extents[n] = larger_extent(extents[n], positive[0], negative[0]);
    }
}

// Before what is made ready for sums: how many units each row has on.
constexpr size_t COUNTS_BYTES = MAX_ROWS * sizeof(float);

static size_t prepared_early_bytes(int rows, int n_blocks) { return COUNTS_BYTES + prepared_bytes<int16_t>(rows, n_blocks); }
static void prepare_early(const uint64_t* bits, size_t stride, int rows, int n_blocks, int first, int last, void* prepared) {
    float* counts = static_cast<float*>(prepared);
    for (int r = 0; first == 0 && r < rows; r++) {
        int count = 0;
        for (int block = 0; block < n_blocks; block++) count += __builtin_popcountll(bits[r * stride + block]);
        counts[r] = float(count);
    }
    prepare<int16_t>(bits, stride, rows, n_blocks, first, last, static_cast<char*>(prepared) + COUNTS_BYTES);
}

// a * b + c, rounded once where the processor can: decisions may, values may not.
static inline vf fused(vf a, vf b, vf c) {
#if defined(__FMA__) || defined(__AVX512F__)
    return X86(fmadd_ps)(a, b, c);
#elif defined(__aarch64__)
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// exp(-a) for a >= 0, within 4e-6 of itself.
template <int N>
static inline void rough_exp_negative(const vf (&a)[N], vf (&p)[N]) {
    vf z[N];
    vi n[N];
    each_of<N>([&](int i) { z[i] = smaller(a[i], splat(87.0f)) * -1.44269504f; });
    each_of<N>([&](int i) { n[i] = to_nearest(z[i]); });
    each_of<N>([&](int i) { z[i] -= to_float(n[i]); });
    each_of<N>([&](int i) { p[i] = fused(z[i], splat(0.0095701013f), splat(0.0559178591f)); });
    for (const float next : {0.2402474433f, 0.6931217909f, 0.9999992847f}) each_of<N>([&](int i) { p[i] = fused(p[i], z[i], splat(next)); });
    each_of<N>([&](int i) { p[i] = (vf)((vi)p[i] + (n[i] << 23)); });
}

// How far from a logit of zero the sums may err, for columns of a tile of rows with at most `most` units on: times the
// slope of the logistic function, how far a uniform number must be from the probability.
struct Reach {
    float error[32], reach[32];  // before and after beta and offset

    Reach(const void* columns, int n_blocks, const float* scale, float most) {
        for (int i = 0; i < 32; i += LANES) {
            vf roundings = {};
            for (int block = 0; block < n_blocks; block++)
                roundings += load<vf>(roundings_at(early_at(const_cast<void*>(columns), block)) + i);
            const vf units = smaller(roundings * 1.001f, splat(most * 0.5f)) + most * 0x1p-6f;
            store(error + i, units * load<vf>(scale + i));
        }
    }
    void set(float beta, const float* offset) {
        for (int i = 0; i < 32; i += LANES) {
            vf d = load<vf>(error + i) * fabsf(beta);
            if (offset) d += absolute(load<vf>(offset + i)) * 0x1p-21f;
            // 1 + d + d^2 is more than exp(d) here; NaN is as bad as a large error.
            store(reach + i, select(d < 1.5f, d * (1.0f + d * (1.0f + d)), splat(INFINITY)));
        }
    }
};

static void sum_early(const void* prepared, int rows, int n_blocks, const void* columns, int width, int32_t* sums) {
    alignas(64) char tables[GROUPS<int16_t> * TABLE_BYTES<int16_t>];
    memset(sums, 0, rows * 32 * sizeof(int32_t));
    with_registers<int16_t>(width, [&](auto n) {
        for (int block = 0; block < n_blocks; block++)
            add_block<int16_t, n>(reinterpret_cast<const int16_t*>(early_at(const_cast<void*>(columns), block)),
                                  static_cast<const char*>(prepared) + COUNTS_BYTES, block, rows, tables, sums);
    });
}

template <bool AFFINE>
static int decide_tile(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, const float* bias,
                        const harmonium::Affine& affine, size_t first, harmonium::NoiseKey key, uint32_t column, uint32_t valid,
                        uint32_t* out, size_t stride, harmonium::Open* open) {
    alignas(64) int32_t sums[MAX_ROWS * 32];
    sum_early(prepared, rows, n_blocks, columns, 32 - __builtin_clz(valid), sums);
    const float* counts = static_cast<const float*>(prepared);
    float most = 0;
    for (int r = 0; r < rows; r++) most = most < counts[r] ? counts[r] : most;
    Reach reach(columns, n_blocks, scale, most);
    float beta = 1;
    const float* offset = nullptr;
    reach.set(beta, offset);
    const Noise noise = {key.seed_low, key.seed_high, key.step, key.stream};
    alignas(64) uint32_t words[2][32];
    int n_open = 0;
    for (int r = 0; r < rows; r++) {
        if (r % 2 == 0) random_words(noise, key.row + r, column, words);
        if (AFFINE) {
            const float b = affine.beta_of(first + r), *o = affine.offset ? affine.offset_of(first + r) + column : nullptr;
            if (b != beta || o != offset) reach.set(beta = b, offset = o);
        }
        uint32_t on = 0, decided = 0;
        for (int at = 0; at < 32; at += WIDTH) {
            constexpr int N = TOGETHER;
            vf x[N], a[N], t[N];
            each_of<N>([&](int i) {
                const int k = at + i * LANES;
                x[i] = fused(to_float(load<vi>(sums + r * 32 + k)), load<vf>(scale + k), load<vf>(bias + k));
                if (AFFINE && affine.beta) x[i] *= beta;
                if (AFFINE && affine.offset) x[i] += load<vf>(offset + k);
                a[i] = absolute(x[i]);
            });
            rough_exp_negative(a, t);
            each_of<N>([&](int i) {
                const int k = at + i * LANES;
                const vf u = to_float((vi)(load<vu>(words[r % 2] + k) >> 8)) * 0x1p-24f;
                const vf margin = fused(-u, t[i] + 1.0f, select(x[i] >= 0.0f, splat(1.0f), t[i]));
                // The slope is t / (1 + t)^2; of its 1 + t the margin has one, and t (1 - t / 2) is more than t / (1 + t).
                const vf near = fused(load<vf>(reach.reach + k), fused(t[i], t[i] * -0.5f, t[i]), splat(0x1p-16f));
                on |= mask_bits(margin > 0.0f) << k;
                decided |= mask_bits(absolute(margin) > near) << k;  // not where there is NaN
            });
        }
        out[r * stride] = on & valid;
        for (uint32_t left = ~decided & valid; left; left &= left - 1) {
            const int i = __builtin_ctz(left);
            open[n_open++] = {uint32_t(r), uint32_t(i), words[r % 2][i]};
        }
    }
    return n_open;
}

static int decide_early(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, const float* bias,
                        const harmonium::Affine& affine, size_t first, harmonium::NoiseKey key, uint32_t column, uint32_t valid,
                        uint32_t* out, size_t stride, harmonium::Open* open) {
    const auto decide = affine.beta || affine.offset ? decide_tile<true> : decide_tile<false>;
    return decide(prepared, rows, n_blocks, columns, scale, bias, affine, first, key, column, valid, out, stride, open);
}

// The sums of the second pass. The 24-bit integers of single units are made again from their weights.
static int64_t sum_down(const float* x, size_t stride, int n_blocks, float factor, const uint64_t* bits, int column) {
    const int lane = column % LANES;
    int64_t total = 0;
    x += column - lane;
    for (int block = 0; block < n_blocks; block++, x += stride) {
        vi sum = {};
        for (uint64_t left = bits[block]; left; left &= left - 1) sum += quantised(load<vf>(x + __builtin_ctzll(left) * 32) * factor);
        total += sum[lane];
    }
    return total;
}
static int64_t sum_across(const float* x, size_t stride, int n_blocks, float factor, const uint64_t* bits) {
    vi bit;
    for (int i = 0; i < LANES; i++) bit[i] = 1 << i;
    int64_t total = 0;
    for (int first = 0; first < n_blocks; first += 8) {  // at most 128 of 24 bits to a lane
        vi sum = {};
        for (int block = first; block < n_blocks && block < first + 8; block++)
            for (int half = 0; half < 2; half++, x += stride) {
                uint32_t on = uint32_t(bits[block] >> 32 * half);
                for (int i = 0; i < 32; i += LANES, on >>= LANES)
                    sum += quantised(load<vf>(x + i) * factor) & (((vi)((vu){} + on) & bit) != 0);
            }
        for (int i = 0; i < LANES; i++) total += sum[i];
    }
    return total;
}

}  // namespace HARMONIUM_ISA
