// bits @ F by the method of four Russians, in exact integer arithmetic.
//
// F is held in fixed point: 24-bit integers with a power-of-two scale a column. Four rows of F have sixteen subset
// sums; a row of bits then needs one table entry, one addition, for every four of its columns.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

// The packed form of 32 columns of F: 64-row blocks of 64 x 32 integers.
constexpr size_t PACKED_BYTES_PER_BLOCK = 64 * 32 * sizeof(int32_t);
constexpr int MAX_ROWS = 128;

static void pack_kn(const float* x, const float* k_factors, const float* n_factors, void* columns, int, int block) {
    int32_t* out = static_cast<int32_t*>(columns) + size_t(block) * 64 * 32;
    for (int k = 0; k < 64; k++)
        for (int n = 0; n < 32; n += LANES) {
            vf y = load<vf>(x + k * 32 + n);
            if (k_factors) y *= k_factors[k];
            if (n_factors) y *= load<vf>(n_factors + n);
            store(out + k * 32 + n, quantised(y));
        }
}

static void pack_nk(const float* low, const float* high, const float* n_factors, void* columns, int, int block) {
    int32_t* out = static_cast<int32_t*>(columns) + size_t(block) * 64 * 32;
    for (int n = 0; n < 32; n++)
        for (int k = 0; k < 64; k += LANES) {
            const vi y = quantised(load<vf>((k < 32 ? low : high) + n * 32 + k % 32) * n_factors[n]);
            for (int i = 0; i < LANES; i++) out[(k + i) * 32 + n] = y[i];
        }
}

// Bits are made ready as the byte offsets of table entries: eight for each row and 32 columns.
constexpr int ENTRY_BYTES = 32 * sizeof(int32_t), TABLE_BYTES = 16 * ENTRY_BYTES;
static size_t prepared_bytes(int rows, int n_blocks) { return size_t(rows) * n_blocks * 32; }
static void prepare(const uint64_t* bits, size_t stride, int first, int last, int n_blocks, void* prepared) {
    for (int r = first; r < last; r++) {
        uint16_t* offsets = static_cast<uint16_t*>(prepared) + size_t(r) * n_blocks * 16;
        for (int k = 0; k < n_blocks * 16; k++)
            offsets[k] = uint16_t((bits[r * stride + k / 16] >> (k % 16 * 4) & 15) * ENTRY_BYTES);
    }
}

static void build_tables(const int32_t* f, char* tables) {
    for (int g = 0; g < 8; g++, f += 4 * 32, tables += TABLE_BYTES)
        for (int part = 0; part < 32; part += LANES) {
            vi t[16] = {};
            for (int i = 0; i < 4; i++) {
                const vi x = load<vi>(f + i * 32 + part);
                for (int s = 0; s < 1 << i; s++) t[s | 1 << i] = t[s] + x;
            }
            for (int s = 0; s < 16; s++) store(tables + s * ENTRY_BYTES + part * 4, t[s]);
        }
}

static void product(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, const float* bias,
                    float* out, size_t out_stride) {
    constexpr int PARTS = 32 / LANES;
    alignas(64) char tables[8 * TABLE_BYTES];
    alignas(64) int32_t high[MAX_ROWS * 32], low[MAX_ROWS * 32], partial[MAX_ROWS * 32];
    memset(high, 0, size_t(rows) * ENTRY_BYTES);
    memset(low, 0, size_t(rows) * ENTRY_BYTES);
    const int32_t* f = static_cast<const int32_t*>(columns);
    const int n_halves = 2 * n_blocks;
    for (int half = 0; half < n_halves; half++, f += 32 * 32) {
        build_tables(f, tables);
        const uint16_t* offsets = static_cast<const uint16_t*>(prepared) + half * 8;
        for (int r = 0; r < rows; r++, offsets += n_halves * 8) {
            vi sums[PARTS];
            for (int p = 0; p < PARTS; p++) sums[p] = half % 4 == 0 ? (vi){} : load<vi>(partial + r * 32 + p * LANES);
            for (int g = 0; g < 8; g++) {
                const char* entry = tables + g * TABLE_BYTES + offsets[g];
                for (int p = 0; p < PARTS; p++) sums[p] += load<vi>(entry + p * VECTOR_BYTES);
            }
            for (int p = 0; p < PARTS; p++) store(partial + r * 32 + p * LANES, sums[p]);
        }
        // 128 terms of 24 bits fill 31 bits: move the sums on before they can overflow.
        if (half % 4 == 3 || half == n_halves - 1)
            for (int i = 0; i < rows * 32; i += LANES) {
                const vi x = load<vi>(partial + i);
                store(high + i, load<vi>(high + i) + (x >> 16));
                store(low + i, load<vi>(low + i) + (x & 0xffff));
            }
    }
    for (int i = 0; i < rows * 32; i += LANES) {
        const vi l = load<vi>(low + i), h = load<vi>(high + i) + (l >> 16);
        const vf total = to_float(h) * 65536.0f + to_float(l & 0xffff);
        store(out + i / 32 * out_stride + i % 32, total * load<vf>(scale + i % 32) + load<vf>(bias + i % 32));
    }
}

}  // namespace HARMONIUM_ISA
