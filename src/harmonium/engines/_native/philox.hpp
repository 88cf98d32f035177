// Philox4x32-10 on a vector of counters at once: the same bits as harmonium.random.
//
// Each 32-bit number has a lane of 64 bits to itself, as its products need them. What is in the upper half of a lane
// does not matter until the end.
#pragma once

#include "vec.hpp"

namespace HARMONIUM_ISA {

// The 64-bit products of the lower halves and a constant.
static inline vw multiply(vw x, uint32_t m) {
#if defined(X86)
    typedef long long vq __attribute__((vector_size(VECTOR_BYTES)));
    return (vw)X86(mul_epu32)((vq)x, (vq)((vw){} + m));
#elif defined(__aarch64__)
    return (vw)vmull_u32(vmovn_u64((uint64x2_t)x), vdup_n_u32(m));
#else
    return (x & 0xffffffff) * m;
#endif
}

struct Noise {
    uint32_t seed_low, seed_high, step, stream;
};

// 32 random words for each of two rows: columns `column` to `column + 31` (a multiple of 32) of rows `row` and `row + 1`.
static inline void random_words(const Noise& noise, uint32_t row, uint32_t column, uint32_t out[2][32]) {
    // The two rows are sixteen blocks of four words, numbered along the rows; a pass computes two vectors of them, which
    // is as many as the registers of the narrower instruction sets hold.
    constexpr int PER_PASS = 2 * DOUBLES;
    for (int pass = 0; pass < 16 / PER_PASS; pass++) {
        vw x0[2], x1[2], x2[2], x3[2];
        for (int v = 0; v < 2; v++) {
            for (int lane = 0; lane < DOUBLES; lane++) {
                // In this order of lanes, unpacking brings the words into theirs.
                const int block = pass * PER_PASS + v * DOUBLES + lane % 2 * (DOUBLES / 2) + lane / 2;
                x0[v][lane] = block % 8;
                x1[v][lane] = block / 8;
            }
            x0[v] += column / 4;
            x1[v] += row;
            x2[v] = (vw){} + noise.step;
            x3[v] = (vw){} + noise.stream;
        }
        uint32_t k0 = noise.seed_low, k1 = noise.seed_high;
        for (int round = 0; round < 10; round++) {
            for (int v = 0; v < 2; v++) {
                const vw p = multiply(x0[v], 0xD2511F53u), q = multiply(x2[v], 0xCD9E8D57u);
                x0[v] = (q >> 32) ^ x1[v] ^ k0;
                x1[v] = q;
                x2[v] = (p >> 32) ^ x3[v] ^ k1;
                x3[v] = p;
            }
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        uint32_t* words = &out[0][0] + pass * 4 * PER_PASS;
        for (int v = 0; v < 2; v++, words += 4 * DOUBLES) {
            vw a = (x0[v] & 0xffffffff) | x1[v] << 32, b = (x2[v] & 0xffffffff) | x3[v] << 32;
            swap_lanes<1>(a, b, std::make_integer_sequence<int, DOUBLES>());
            store(words, a);
            store(words + LANES, b);
        }
    }
}

}  // namespace HARMONIUM_ISA
