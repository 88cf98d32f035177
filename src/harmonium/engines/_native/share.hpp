// How threads share the parts of one task.
#pragma once

#include <omp.h>

#include <algorithm>

namespace harmonium {

// Of n columns the i-th 32: how many there are.
static inline int width_of(size_t n, size_t i) { return int(std::min(size_t(32), n - 32 * i)); }

// What sums for so many columns cost, as a part of what those for 32 do: a few need fewer registers.
static inline double cost_of(int width) { return width <= 8 ? 0.5 : width <= 16 ? 0.65 : 1; }

// Inside of a parallel region: calls use(i) for a thread's own of n items. These are in order, and what the threads have to do
// costs about the same. Threads do not wait for each other at the end.
template <class Cost, class Use>
static void share(int n, Cost cost, Use use) {
    const int threads = omp_get_num_threads(), thread = omp_get_thread_num();
    double all = 0, before = 0;
    for (int i = 0; i < n; i++) all += cost(i);
    for (int i = 0; i < n; i++) {
        const double own = cost(i), middle = before + own / 2;
        if (int(middle / all * threads) == thread) use(i);
        before += own;
    }
}

}  // namespace harmonium
