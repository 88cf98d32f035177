// Philox4x32-10 on sixteen counters at once: the same bits as harmonium.random.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

struct Wide {
    vu high, low;
};

// The 64-bit products of sixteen 32-bit numbers and a constant.
static inline Wide multiply(vu a, uint32_t m) {
#if defined(__AVX512F__)
    const __m512i x = (__m512i)a, k = _mm512_set1_epi32(int(m));
    const __m512i even = _mm512_mul_epu32(x, k), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), k);
    return {(vu)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd),
            (vu)_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32))};
#elif defined(__AVX2__)
    Wide result;
    __m256i x[2], high[2], low[2];
    memcpy(x, &a, sizeof x);
    const __m256i k = _mm256_set1_epi32(int(m));
    for (int i = 0; i < 2; i++) {
        const __m256i even = _mm256_mul_epu32(x[i], k), odd = _mm256_mul_epu32(_mm256_srli_epi64(x[i], 32), k);
        high[i] = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
        low[i] = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    }
    memcpy(&result.high, high, sizeof high);
    memcpy(&result.low, low, sizeof low);
    return result;
#else
    Wide result;
    for (int i = 0; i < LANES; i++) {
        const uint64_t product = uint64_t(a[i]) * m;
        result.high[i] = uint32_t(product >> 32);
        result.low[i] = uint32_t(product);
    }
    return result;
#endif
}

struct Noise {
    uint32_t seed_low, seed_high, step, stream;
};

// 32 random words for each of two rows: columns `column` to `column + 31` (a multiple of 32) of rows `row` and `row + 1`.
static inline void random_words(const Noise& noise, uint32_t row, uint32_t column, uint32_t out[2][32]) {
    // Lane 4 q + a works on block 4 a + q of the sixteen (eight a row), so that a transposition inside 128-bit
    // groups brings every word to its column.
    const vu block = {0, 4, 0, 4, 1, 5, 1, 5, 2, 6, 2, 6, 3, 7, 3, 7}, second = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
    vu x0 = block + column / 4, x1 = second + row;
    vu x2 = (vu){} + noise.step, x3 = (vu){} + noise.stream;
    uint32_t k0 = noise.seed_low, k1 = noise.seed_high;
    for (int round = 0; round < 10; round++) {
        const Wide p = multiply(x0, 0xD2511F53u), q = multiply(x2, 0xCD9E8D57u);
        x0 = q.high ^ x1 ^ k0;
        x1 = q.low;
        x2 = p.high ^ x3 ^ k1;
        x3 = p.low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
#if defined(__AVX512F__)
    const __m512i a = (__m512i)x0, b = (__m512i)x1, c = (__m512i)x2, d = (__m512i)x3;
    const __m512i ab = _mm512_unpacklo_epi32(a, b), AB = _mm512_unpackhi_epi32(a, b);
    const __m512i cd = _mm512_unpacklo_epi32(c, d), CD = _mm512_unpackhi_epi32(c, d);
    _mm512_storeu_si512(&out[0][0], _mm512_unpacklo_epi64(ab, cd));
    _mm512_storeu_si512(&out[0][16], _mm512_unpackhi_epi64(ab, cd));
    _mm512_storeu_si512(&out[1][0], _mm512_unpacklo_epi64(AB, CD));
    _mm512_storeu_si512(&out[1][16], _mm512_unpackhi_epi64(AB, CD));
#else
    for (int lane = 0; lane < LANES; lane++) {
        uint32_t* words = &out[0][16 * (lane % 4) + 4 * (lane / 4)];
        words[0] = x0[lane];
        words[1] = x1[lane];
        words[2] = x2[lane];
        words[3] = x3[lane];
    }
#endif
}

}  // namespace HARMONIUM_ISA
