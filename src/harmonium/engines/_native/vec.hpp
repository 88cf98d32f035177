// Sixteen lanes at a time, in the compiler's portable vectors: one source for every instruction set.
//
// All arithmetic is plain IEEE multiply and add in a fixed order (built with -ffp-contract=off), so that every
// instruction set computes the same bits.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace HARMONIUM_ISA {

constexpr int LANES = 16;
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef uint64_t vu64 __attribute__((vector_size(64)));
typedef double vd __attribute__((vector_size(64)));  // eight lanes
typedef float vf8 __attribute__((vector_size(32)));

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
static inline vi to_int(vf x) { return __builtin_convertvector(x, vi); }
static inline vf select(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }
static inline vf absolute(vf x) { return (vf)((vi)x & 0x7fffffff); }
static inline vf larger(vf a, vf b) { return select(a > b, a, b); }
static inline vf smaller(vf a, vf b) { return select(a < b, a, b); }

static inline vd low_half(vf x) {
    vf8 half;
    memcpy(&half, &x, sizeof half);
    return __builtin_convertvector(half, vd);
}
static inline vd high_half(vf x) {
    vf8 half;
    memcpy(&half, reinterpret_cast<const char*>(&x) + sizeof half, sizeof half);
    return __builtin_convertvector(half, vd);
}
static inline double sum(vd x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

// One bit per lane of a comparison's result.
static inline uint32_t mask_bits(vi mask) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    __m256 half[2];
    memcpy(half, &mask, sizeof half);
    return uint32_t(_mm256_movemask_ps(half[0])) | uint32_t(_mm256_movemask_ps(half[1])) << 8;
#else
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= uint32_t(mask[i] & 1) << i;
    return bits;
#endif
}

}  // namespace HARMONIUM_ISA
