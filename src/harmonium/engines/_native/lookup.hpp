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

static inline void* block_at(void* columns, int, int block) {
    return static_cast<char*>(columns) + block * PACKED_BYTES_PER_BLOCK;
}

// Packs block `block` of `n_blocks`, given as q[k * stride + n], k < 64, n < 32.
static void pack_kn(const int32_t* q, size_t stride, void* columns, int n_blocks, int block) {
    char* out = static_cast<char*>(block_at(columns, n_blocks, block));
    for (int k = 0; k < 64; k++) memcpy(out + k * 128, q + k * stride, 128);
}

// The same, given as q[n * stride + k].
static void pack_nk(const int32_t* q, size_t stride, void* columns, int n_blocks, int block) {
    int32_t* out = static_cast<int32_t*>(block_at(columns, n_blocks, block));
    for (int n = 0; n < 32; n++)
        for (int k = 0; k < 64; k++) out[k * 32 + n] = q[n * stride + k];
}

// The bits are used as they are.
static size_t prepared_bytes(int rows, int n_blocks) { return size_t(rows) * n_blocks * 8; }
static void prepare(const uint64_t* bits, size_t stride, int first, int last, int n_blocks, void* prepared) {
    for (int r = first; r < last; r++)
        memcpy(static_cast<uint64_t*>(prepared) + size_t(r) * n_blocks, bits + r * stride, size_t(n_blocks) * 8);
}

static void product(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, float* out) {
    alignas(64) int32_t table[8][16][32];
    alignas(64) int32_t high[MAX_ROWS][32], low[MAX_ROWS][32], partial[MAX_ROWS][32];
    memset(high, 0, size_t(rows) * 128);
    memset(low, 0, size_t(rows) * 128);
    const uint32_t* words = static_cast<const uint32_t*>(prepared);
    const int32_t* f = static_cast<const int32_t*>(columns);
    for (int half = 0; half < 2 * n_blocks; half++, f += 32 * 32) {
        for (int g = 0; g < 8; g++)
            for (int part = 0; part < 32; part += LANES) {
                const int32_t* row = f + g * 4 * 32 + part;
                vi t[16] = {};
                for (int i = 0; i < 4; i++) {
                    const vi x = load<vi>(row + i * 32);
                    for (int s = 0; s < 1 << i; s++) t[s | 1 << i] = t[s] + x;
                }
                for (int s = 0; s < 16; s++) store(&table[g][s][part], t[s]);
            }
        const bool fresh = half % 4 == 0;
        for (int r = 0; r < rows; r++) {
            const uint32_t word = words[size_t(r) * 2 * n_blocks + half];
            vi a = {}, b = {};
            if (!fresh) a = load<vi>(&partial[r][0]), b = load<vi>(&partial[r][16]);
            for (int g = 0; g < 8; g++) {
                const int32_t* entry = table[g][word >> (4 * g) & 15];
                a += load<vi>(entry);
                b += load<vi>(entry + 16);
            }
            store(&partial[r][0], a);
            store(&partial[r][16], b);
        }
        // 128 terms of 24 bits fill 31 bits: move the sums on before they can overflow.
        if (half % 4 == 3 || half == 2 * n_blocks - 1)
            for (int r = 0; r < rows; r++)
                for (int part = 0; part < 32; part += LANES) {
                    const vi x = load<vi>(&partial[r][part]);
                    store(&high[r][part], load<vi>(&high[r][part]) + (x >> 16));
                    store(&low[r][part], load<vi>(&low[r][part]) + (x & 0xffff));
                }
    }
    for (int r = 0; r < rows; r++)
        for (int part = 0; part < 32; part += LANES) {
            const vi l = load<vi>(&low[r][part]), h = load<vi>(&high[r][part]) + (l >> 16);
            store(out + r * 32 + part, (to_float(h) * 65536.0f + to_float(l & 0xffff)) * load<vf>(scale + part));
        }
}

}  // namespace HARMONIUM_ISA
