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

// Packs block `block` of `n_blocks`, given as q[k * stride + n], k < 64, n < 32.
static void pack_kn(const int32_t* q, size_t stride, void* columns, int n_blocks, int block) {
    for (int tile = 0; tile < 2; tile++)
        for (int k = 0; k < 64; k += 4) {
            vu x[4];
            for (int i = 0; i < 4; i++) x[i] = load<vu>(q + (k + i) * stride + 16 * tile);
            for (int plane = 0; plane < 3; plane++) {
                const int s = 8 * plane;
                const vu word = ((x[0] >> s) & 255) | ((x[1] >> s) & 255) << 8 | ((x[2] >> s) & 255) << 16 | (x[3] >> s) << 24;
                store(plane_at(columns, n_blocks, block, plane) + 1024 * tile + 16 * k, word);
            }
        }
}

// The same, given as q[n * stride + k].
static void pack_nk(const int32_t* q, size_t stride, void* columns, int n_blocks, int block) {
    for (int tile = 0; tile < 2; tile++)
        for (int plane = 0; plane < 3; plane++) {
            const int s = 8 * plane;
            char* out = plane_at(columns, n_blocks, block, plane) + 1024 * tile;
            for (int k = 0; k < 64; k += 16) {
                // Sixteen columns n, each with four words of four bytes along k, are turned into four rows of sixteen.
                alignas(64) uint32_t words[16][4];
                for (int n = 0; n < 16; n++) {
                    const __m512i x = (__m512i)load<vi>(q + (16 * tile + n) * stride + k);
                    _mm_store_si128(reinterpret_cast<__m128i*>(words[n]), _mm512_cvtepi32_epi8(_mm512_srli_epi32(x, s)));
                }
                for (int n = 0; n < 16; n += 4) {
                    const __m128i a = _mm_load_si128(reinterpret_cast<__m128i*>(words[n]));
                    const __m128i b = _mm_load_si128(reinterpret_cast<__m128i*>(words[n + 1]));
                    const __m128i c = _mm_load_si128(reinterpret_cast<__m128i*>(words[n + 2]));
                    const __m128i d = _mm_load_si128(reinterpret_cast<__m128i*>(words[n + 3]));
                    const __m128i ab = _mm_unpacklo_epi32(a, b), AB = _mm_unpackhi_epi32(a, b);
                    const __m128i cd = _mm_unpacklo_epi32(c, d), CD = _mm_unpackhi_epi32(c, d);
                    __m128i* row = reinterpret_cast<__m128i*>(out + 16 * k + 4 * n);
                    _mm_storeu_si128(row, _mm_unpacklo_epi64(ab, cd));
                    _mm_storeu_si128(row + 4, _mm_unpackhi_epi64(ab, cd));
                    _mm_storeu_si128(row + 8, _mm_unpacklo_epi64(AB, CD));
                    _mm_storeu_si128(row + 12, _mm_unpackhi_epi64(AB, CD));
                }
            }
        }
}

// Bits are spread to bytes, tile after tile: sixteen rows of one 64-bit word.
static size_t prepared_bytes(int rows, int n_blocks) { return size_t((rows + 15) / 16) * n_blocks * 1024; }
static void prepare(const uint64_t* bits, size_t stride, int first, int last, int n_blocks, void* prepared) {
    for (int r = first; r < last; r++)
        for (int block = 0; block < n_blocks; block++) {
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

static void product(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, float* out) {
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
    for (int r = 0; r < rows; r++)
        for (int part = 0; part < 32; part += LANES) {
            const vi s0 = load<vi>(&sums[0][r][part]), s1 = load<vi>(&sums[1][r][part]) + (s0 >> 8);
            const vi high = load<vi>(&sums[2][r][part]) + (s1 >> 8), low = (s1 & 255) << 8 | (s0 & 255);
            store(out + r * 32 + part, (to_float(high) * 65536.0f + to_float(low)) * load<vf>(scale + part));
        }
}

}  // namespace HARMONIUM_ISA
