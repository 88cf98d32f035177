// Exact sums over all states of a layer.
#include <math.h>

#include <algorithm>
#include <vector>

#include "machine.hpp"

namespace harmonium {

// exp(b_j + (W'h)_j) is a product of a factor from the low bits of h and one from the high bits; the factors of the low
// bits are tabled once, so that a (state, visible unit) costs two multiplications and an addition.
double log_partition_block(const Kernels& k, size_t m, size_t n, const double* W, const double* b, const double* c,
                           uint64_t first, uint64_t count) {
    const size_t width = (m + 7) / 8 * 8;
    // The largest table that stays in the second-level cache.
    size_t low_bits = 0;
    while (low_bits < n && (width << (low_bits + 1)) * sizeof(double) <= 512 * 1024 && (uint64_t(1) << low_bits) < count) low_bits++;
    const uint64_t n_low = uint64_t(1) << low_bits;

    double largest = 0;
    for (size_t j = 0; j < m; j++) {
        double up = b[j], down = b[j];
        for (size_t i = 0; i < n; i++) (W[i * m + j] > 0 ? up : down) += W[i * m + j];
        largest = std::max({largest, fabs(up), fabs(down)});
    }
    const bool tame = largest < 300;  // no exponential and no product of two of them leaves the range
    const int safe = std::max(1, int(700 / (largest + 0.7)));

    // Logarithms of the factors of the low bits, and of c'h, by adding one bit at a time to a state already done.
    std::vector<double> low(n_low * width), low_c(n_low);
    for (uint64_t s = 1; s < n_low; s++) {
        const int bit = 63 - __builtin_clzll(s);
        const uint64_t rest = s & ~(uint64_t(1) << bit);
        for (size_t j = 0; j < m; j++) low[s * width + j] = low[rest * width + j] + W[bit * m + j];
        low_c[s] = low_c[rest] + c[bit];
    }
    if (tame)
        for (double& x : low) x = exp(x);

    const uint64_t last = first + count, first_high = first >> low_bits, last_high = ((last - 1) >> low_bits) + 1;
    std::vector<double> logs(last_high - first_high);
#pragma omp parallel num_threads(threads_for(double(count) * m))
    {
        std::vector<double> high(width), out(n_low);
#pragma omp for schedule(dynamic)
        for (uint64_t h = first_high; h < last_high; h++) {
            double high_c = 0;
            std::fill(high.begin(), high.end(), 0.0);
            for (size_t j = 0; j < m; j++) high[j] = b[j];
            for (size_t i = low_bits; i < n; i++)
                if (h >> (i - low_bits) & 1) {
                    for (size_t j = 0; j < m; j++) high[j] += W[i * m + j];
                    high_c += c[i];
                }
            const uint64_t start = std::max(first, h << low_bits) - (h << low_bits);
            const uint64_t stop = std::min(last, (h + 1) << low_bits) - (h << low_bits);
            if (tame) {
                for (size_t j = 0; j < width; j++) high[j] = j < m ? exp(high[j]) : 0.0;
                k.log_products(high.data(), &low[start * width], stop - start, width, safe, &out[start]);
            } else {
                for (uint64_t s = start; s < stop; s++) {
                    out[s] = 0;
                    for (size_t j = 0; j < m; j++) {
                        const double x = high[j] + low[s * width + j];
                        out[s] += fmax(x, 0) + log1p(exp(-fabs(x)));
                    }
                }
            }
            double top = -INFINITY, sum = 0;
            for (uint64_t s = start; s < stop; s++) top = std::max(top, out[s] += low_c[s] + high_c);
            for (uint64_t s = start; s < stop; s++) sum += exp(out[s] - top);
            logs[h - first_high] = top + log(sum);
        }
    }
    double top = -INFINITY, sum = 0;
    for (double x : logs) top = std::max(top, x);
    for (double x : logs) sum += exp(x - top);
    return top + log(sum);
}

}  // namespace harmonium
