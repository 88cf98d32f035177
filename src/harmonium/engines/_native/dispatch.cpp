// Chooses the kernels that this processor can run.
#include <string.h>

#include "machine.hpp"

#if defined(HARMONIUM_X86)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace harmonium {

#if defined(HARMONIUM_X86)
static bool avx512_works() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

// Linux hands out the tile registers on request.
static bool amx_works() {
#if defined(__linux__)
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    constexpr unsigned TILE = 1u << 24, INT8 = 1u << 25;
    constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
    return (d & TILE) && (d & INT8) && avx512_works() && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}
#endif

const Kernels* find_kernels(const char* name) {
    struct Candidate {
        const Kernels* kernels;
        bool works;
    };
    const Candidate candidates[] = {
#if defined(HARMONIUM_X86)
        {amx_kernels, amx_works()},
        {avx512_kernels, avx512_works()},
        {avx2_kernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {portable_kernels, true},
    };
    for (const Candidate& candidate : candidates)
        if (candidate.works && (!name || strcmp(name, candidate.kernels->name) == 0)) return candidate.kernels;
    return nullptr;
}

}  // namespace harmonium
