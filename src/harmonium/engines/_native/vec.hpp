// The compiler's portable vectors, as wide as the instruction set's registers: one source for every instruction set.
//
// All arithmetic on single precision is plain IEEE multiply and add in a fixed order for each element (built with
// -ffp-contract=off), so that every instruction set computes the same bits.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// X86(name) is the intrinsic `name` for this register width.
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define X86(name) _mm512_##name
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define X86(name) _mm256_##name
#else
#define VECTOR_BYTES 16
#if defined(__x86_64__)
#define X86(name) _mm_##name
#endif
#endif

namespace HARMONIUM_ISA {

constexpr int LANES = VECTOR_BYTES / 4, DOUBLES = VECTOR_BYTES / 8;
typedef float vf __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t vu __attribute__((vector_size(VECTOR_BYTES)));
typedef int16_t vh __attribute__((vector_size(VECTOR_BYTES)));
typedef double vd __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t vl __attribute__((vector_size(VECTOR_BYTES)));
typedef uint64_t vw __attribute__((vector_size(VECTOR_BYTES)));

template <class V, class T>
static inline V load(const T* p) {
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}
template <class V, class T>
static inline void store(T* p, V v) {
    memcpy(p, &v, sizeof v);
}
static inline vf splat(float x) { return x - (vf){}; }
static inline vf to_float(vi x) { return __builtin_convertvector(x, vf); }
static inline vf select(vi mask, vf a, vf b) { return mask ? a : b; }
static inline vf absolute(vf x) { return (vf)((vi)x & 0x7fffffff); }
// As the ternary operator the compiler knows these for single instructions.
static inline vf larger(vf a, vf b) { return a > b ? a : b; }
static inline vf smaller(vf a, vf b) { return a < b ? a : b; }

// To the nearest integer, halves to the even one.
static inline vi to_nearest(vf x) {
#if defined(__AVX512F__)
    return (vi)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
    return (vi)_mm256_cvtps_epi32((__m256)x);
#elif defined(__x86_64__)
    return (vi)_mm_cvtps_epi32((__m128)x);
#elif defined(__aarch64__)
    return (vi)vcvtnq_s32_f32((float32x4_t)x);
#else
    vi y;
    for (int i = 0; i < LANES; i++) y[i] = int32_t(lrintf(x[i]));
    return y;
#endif
}

// To the nearest integer of 24 bits, for |x| <= 2^23.
static inline vi quantised(vf x) {
    const vi rounded = to_nearest(x), most = (vi){} + 8388607;
    return rounded > most ? most : rounded;
}

// Two vectors of numbers of 16 bits in one, as pairs: this takes no moves between lanes.
static inline vh pairs(vi first, vi second) { return (vh)((first & 0xffff) | second << 16); }
static inline vi first_of_pairs(vh x) { return (vi)x << 16 >> 16; }
static inline vi second_of_pairs(vh x) { return (vi)x >> 16; }

// Swaps what is in lanes with the bit `width` of a and what is in those without it of b.
template <int width, class V, int... lane>
static inline void swap_lanes(V& a, V& b, std::integer_sequence<int, lane...>) {
    constexpr int n = sizeof...(lane);
    const V x = a, y = b;
    a = __builtin_shufflevector(x, y, (lane & width ? n + lane - width : lane)...);
    b = __builtin_shufflevector(x, y, (lane & width ? n + lane : lane + width)...);
}

// Rows become columns: one call for each bit of a lane's number.
template <int width = LANES / 2>
static inline void transpose(vi x[LANES]) {
    for (int i = 0; i < LANES; i++)
        if (!(i & width)) swap_lanes<width>(x[i], x[i + width], std::make_integer_sequence<int, LANES>());
    if constexpr (width > 1) transpose<width / 2>(x);
}

// One bit per lane of a comparison's result.
static inline uint32_t mask_bits(vi mask) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    return uint32_t(_mm256_movemask_ps((__m256)mask));
#elif defined(__x86_64__)
    return uint32_t(_mm_movemask_ps((__m128)mask));
#elif defined(__aarch64__)
    return vaddvq_u32((uint32x4_t)(mask & (vi){1, 2, 4, 8}));
#else
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= uint32_t(mask[i] & 1) << i;
    return bits;
#endif
}

}  // namespace HARMONIUM_ISA
