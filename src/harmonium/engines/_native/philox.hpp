// Philox4x32-10 on a vector of counters at once: the same bits as harmonium.random.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

struct Wide {
    vu high, low;
};

// The 64-bit products of 32-bit numbers and a constant.
static inline Wide multiply(vu a, uint32_t m) {
#if defined(__AVX512F__)
    const __m512i x = (__m512i)a, k = _mm512_set1_epi32(int(m));
    const __m512i even = _mm512_mul_epu32(x, k), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), k);
    return {(vu)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd),
            (vu)_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32))};
#elif defined(__AVX2__)
    const __m256i x = (__m256i)a, k = _mm256_set1_epi32(int(m));
    const __m256i even = _mm256_mul_epu32(x, k), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), k);
    return {(vu)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA),
            (vu)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA)};
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
    // The two rows are sixteen blocks of four words, numbered along the rows; a pass computes LANES of them. Lane 4 q + a
    // works on block a * LANES / 4 + q of the pass, so that a transposition inside groups of four lanes brings all words
    // into order.
    for (int pass = 0; pass < 16 / LANES; pass++) {
        vu x0, x1;
        for (int lane = 0; lane < LANES; lane++) {
            const uint32_t block = pass * LANES + lane % 4 * (LANES / 4) + lane / 4;
            x0[lane] = block % 8;
            x1[lane] = block / 8;
        }
        x0 += column / 4;
        x1 += row;
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
        uint32_t* words = &out[0][0] + pass * 4 * LANES;
#if defined(X86)
        typedef long long vq __attribute__((vector_size(VECTOR_BYTES)));
        const vq a = (vq)x0, b = (vq)x1, c = (vq)x2, d = (vq)x3;
        const vq ab = X86(unpacklo_epi32)(a, b), cd = X86(unpacklo_epi32)(c, d);
        const vq AB = X86(unpackhi_epi32)(a, b), CD = X86(unpackhi_epi32)(c, d);
        store(words, X86(unpacklo_epi64)(ab, cd));
        store(words + LANES, X86(unpackhi_epi64)(ab, cd));
        store(words + 2 * LANES, X86(unpacklo_epi64)(AB, CD));
        store(words + 3 * LANES, X86(unpackhi_epi64)(AB, CD));
#else
        for (int lane = 0; lane < LANES; lane++)
            for (int word = 0; word < 4; word++) {
                const vu x[4] = {x0, x1, x2, x3};
                words[lane % 4 * LANES + lane / 4 * 4 + word] = x[word][lane];
            }
#endif
    }
}

}  // namespace HARMONIUM_ISA
