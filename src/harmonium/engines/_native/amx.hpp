// bits @ F on the AMX matrix unit, in exact integer arithmetic: the same sums as lookup.hpp, and faster.
//
// F's 24-bit integers are split into three bytes, the upper signed and the lower two unsigned; bits become bytes 0 and 1.
// A tile instruction multiplies 16 x 64 bits with 64 x 16 bytes of F into 32-bit sums.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

// The packed form of 32 columns of F: for each of the three bytes and each 64-row block, two tiles of 1 KiB.
constexpr size_t PACKED_BYTES_PER_BLOCK = 3 * 2048;
constexpr int MAX_ROWS = 128;

static inline char* plane_at(void* columns, int n_blocks, int block, int plane) {
    return static_cast<char*>(columns) + (size_t(plane) * n_blocks + block) * 2048;
}

// The bits of `a` under the mask and those of `b` elsewhere.
static inline vu merge(vu a, vu b, uint32_t mask) { return (a & mask) | (b & ~mask); }

static void pack_kn(const float* x, const float* k_factors, const float* n_factors, void* columns, int n_blocks, int block) {
    for (int tile = 0; tile < 2; tile++)
        for (int k = 0; k < 64; k += 4) {
            vu q[4];
            for (int i = 0; i < 4; i++) {
                vf y = load<vf>(x + (k + i) * 32 + 16 * tile);
                if (k_factors) y *= k_factors[k + i];
                if (n_factors) y *= load<vf>(n_factors + 16 * tile);
                q[i] = (vu)quantised(y);
            }
            const vu a = q[0], b = q[1], c = q[2], d = q[3];
            // Byte p of each of the four, side by side.
            char* out = plane_at(columns, n_blocks, block, 0) + 1024 * tile + 16 * k;
            const size_t next = size_t(n_blocks) * 2048;
            store(out, merge(merge(a, b << 8, 0xff), merge(c << 16, d << 24, 0xffffff), 0xffff));
            store(out + next, merge(merge(a >> 8, b, 0xff), merge(c << 8, d << 16, 0xffffff), 0xffff));
            store(out + 2 * next, merge(merge(a >> 16, b >> 8, 0xff), merge(c, d << 8, 0xffffff), 0xffff));
        }
}

// The four quarters of x, to four rows of a tile.
static inline void store_rows(char* out, __m512i x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_castsi512_si128(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 64), _mm512_extracti32x4_epi32(x, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 128), _mm512_extracti32x4_epi32(x, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 192), _mm512_extracti32x4_epi32(x, 3));
}

static void pack_nk(const float* low, const float* high, const float* n_factors, void* columns, int n_blocks, int block) {
    // In each group of four numbers, gathers their lowest bytes, then their second, then their third.
    const __m512i by_plane = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const size_t next = size_t(n_blocks) * 2048;
    for (int tile = 0; tile < 2; tile++)
        for (int k = 0; k < 64; k += 16)
            for (int n = 0; n < 16; n += 4) {
                __m512i x[4];
                for (int i = 0; i < 4; i++) {
                    const int column = 16 * tile + n + i;
                    const vf y = load<vf>((k < 32 ? low : high) + column * 32 + k % 32);
                    x[i] = _mm512_shuffle_epi8((__m512i)quantised(y * n_factors[column]), by_plane);
                }
                const __m512i ab = _mm512_unpacklo_epi32(x[0], x[1]), cd = _mm512_unpacklo_epi32(x[2], x[3]);
                const __m512i AB = _mm512_unpackhi_epi32(x[0], x[1]), CD = _mm512_unpackhi_epi32(x[2], x[3]);
                char* out = plane_at(columns, n_blocks, block, 0) + 1024 * tile + 16 * k + 4 * n;
                store_rows(out, _mm512_unpacklo_epi64(ab, cd));
                store_rows(out + next, _mm512_unpackhi_epi64(ab, cd));
                store_rows(out + 2 * next, _mm512_unpacklo_epi64(AB, CD));
            }
}

// Bits are spread to bytes, tile after tile: sixteen rows of one 64-bit word.
static size_t prepared_bytes(int rows, int n_blocks) { return size_t((rows + 15) / 16) * n_blocks * 1024; }
static void prepare(const uint64_t* bits, size_t stride, int rows, int n_blocks, int first, int last, void* prepared) {
    for (int r = 0; r < rows; r++)
        for (int block = first; block < last; block++) {
            char* tile = static_cast<char*>(prepared) + (size_t(r / 16) * n_blocks + block) * 1024;
            _mm512_storeu_si512(tile + r % 16 * 64, _mm512_maskz_set1_epi8(bits[r * stride + block], 1));
        }
}

struct alignas(64) TileConfig {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Two by two tiles of sums over all blocks for one byte of F: `wide` says whether the second row of tiles exists.
template <bool is_signed, bool wide>
static inline void sum_tiles(const char* a, const char* f, int n_blocks, int32_t* out) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const char* second = a + size_t(n_blocks) * 1024;
    for (int block = 0; block < n_blocks; block++) {
        _tile_loadd(4, a + block * 1024, 64);
        _tile_loadd(6, f + block * 2048, 64);
        _tile_loadd(7, f + block * 2048 + 1024, 64);
        if (wide) _tile_loadd(5, second + block * 1024, 64);
        if (is_signed) {
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            if (wide) _tile_dpbusd(2, 5, 6);
            if (wide) _tile_dpbusd(3, 5, 7);
        } else {
            _tile_dpbuud(0, 4, 6);
            _tile_dpbuud(1, 4, 7);
            if (wide) _tile_dpbuud(2, 5, 6);
            if (wide) _tile_dpbuud(3, 5, 7);
        }
    }
    _tile_stored(0, out, 128);
    _tile_stored(1, out + 16, 128);
    if (wide) _tile_stored(2, out + 16 * 32, 128);
    if (wide) _tile_stored(3, out + 16 * 32 + 16, 128);
}

static void product(const void* prepared, int rows, int n_blocks, const void* columns, int, const float* scale,
                    const float* bias, float* out, size_t out_stride) {
    alignas(64) int32_t sums[3][MAX_ROWS][32];
    const TileConfig config;
    _tile_loadconfig(&config);
    const int n_tiles = (rows + 15) / 16;
    for (int plane = 0; plane < 3; plane++) {
        const char* f = plane_at(const_cast<void*>(columns), n_blocks, 0, plane);
        for (int tile = 0; tile < n_tiles; tile += 2) {
            const char* a = static_cast<const char*>(prepared) + size_t(tile) * n_blocks * 1024;
            int32_t* to = &sums[plane][16 * tile][0];
            const bool wide = tile + 1 < n_tiles;
            if (plane == 2)
                wide ? sum_tiles<true, true>(a, f, n_blocks, to) : sum_tiles<true, false>(a, f, n_blocks, to);
            else
                wide ? sum_tiles<false, true>(a, f, n_blocks, to) : sum_tiles<false, false>(a, f, n_blocks, to);
        }
    }
    _tile_release();
    const bool short_sums = n_blocks <= 4;  // 256 numbers of 24 bits
    for (int part = 0; part < 32; part += LANES) {
        const vf factor = load<vf>(scale + part), offset = load<vf>(bias + part);
        for (int r = 0; r < rows; r++) {
            const vi s0 = load<vi>(&sums[0][r][part]), s1 = load<vi>(&sums[1][r][part]), s2 = load<vi>(&sums[2][r][part]);
            vf total;
            if (short_sums) {
                total = to_float((s2 << 16) + (s1 << 8) + s0);
            } else {
                const vi middle = s1 + (s0 >> 8), low = (middle & 255) << 8 | (s0 & 255);
                total = to_float(s2 + (middle >> 8)) * 65536.0f + to_float(low);
            }
            store(out + r * out_stride + part, total * factor + offset);
        }
    }
}

}  // namespace HARMONIUM_ISA
