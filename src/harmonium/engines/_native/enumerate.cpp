// Exact sums over all states of a layer.
#include <math.h>

#include <algorithm>
#include <vector>

#include "machine.hpp"

namespace harmonium {

static double log_sum_exp(const Kernels& k, const double* x, size_t n) {
    const double largest = *std::max_element(x, x + n);
    double sum = 0, part[256];
    for (size_t first = 0; first < n; first += 256) {
        const size_t count = std::min(size_t(256), n - first);
        for (size_t i = 0; i < count; i++) part[i] = x[first + i] - largest;
        k.exponential(part, count, part);
        for (size_t i = 0; i < count; i++) sum += part[i];
    }
    k.logarithm(&sum, 1, &sum);
    return largest + sum;
}

// Sums of the rows of W, and of c, over the on bits of each state of `bits` hidden units from `from` on, by adding one bit
// at a time to a state already done; exponentials of the sums of W if asked for.
struct Table {
    std::vector<double> rows, c;
    Table(const Kernels& k, size_t m, size_t width, const double* W, const double* c_of, size_t from, size_t bits, bool exponentials)
        : rows((uint64_t(1) << bits) * width), c(uint64_t(1) << bits) {
        for (uint64_t s = 1; s < uint64_t(1) << bits; s++) {
            const int bit = 63 - __builtin_clzll(s);
            const uint64_t rest = s & ~(uint64_t(1) << bit);
            for (size_t j = 0; j < m; j++) rows[s * width + j] = rows[rest * width + j] + W[(from + bit) * m + j];
            c[s] = c[rest] + c_of[from + bit];
        }
        if (exponentials) k.exponential(rows.data(), rows.size(), rows.data());
    }
};

// exp(b_j + (W'h)_j) is a product of factors from the low, the middle and the high bits of h. Those of the low and the
// middle bits are tabled, so that a (state, visible unit) costs two multiplications and an addition.
double log_partition_block(const Kernels& k, size_t m, size_t n, const double* W, const double* b, const double* c,
                           uint64_t first, uint64_t count) {
    const size_t width = (m + 7) / 8 * 8;
    // Two tables together stay in the second-level cache.
    size_t table_bits = 0;
    while ((width << (table_bits + 1)) * sizeof(double) <= 512 * 1024) table_bits++;
    const size_t low_bits = std::min(table_bits, n), middle_bits = std::min(table_bits, n - low_bits);
    const uint64_t n_low = uint64_t(1) << low_bits, n_middle = uint64_t(1) << middle_bits;

    double largest = 0;
    for (size_t j = 0; j < m; j++) {
        double up = b[j], down = b[j];
        for (size_t i = 0; i < n; i++) (W[i * m + j] > 0 ? up : down) += W[i * m + j];
        largest = std::max({largest, fabs(up), fabs(down)});
    }
    const bool tame = largest < 200;  // no exponential and no product of three of them leaves the range
    const int safe = std::max(1, int(700 / (largest + 0.7)));
    const Table low(k, m, width, W, c, 0, low_bits, tame), middle(k, m, width, W, c, low_bits, middle_bits, tame);

    // Pairs of values of the middle and high bits, each with all low bits; at the ends some states are left out. Two pairs
    // are worked on together.
    const uint64_t last = first + count, first_pair = (first >> low_bits) / 2, last_pair = ((last - 1) >> low_bits) / 2 + 1;
    const uint64_t n_pairs = last_pair - first_pair;
    std::vector<double> logs(n_pairs);
#pragma omp parallel num_threads(threads_for(double(count) * m))
    {
        std::vector<double> high(4 * width), top(width), sums(width), out(4 * n_low), powers(4 * n_low);
        const double* const highs[4] = {&high[0], &high[width], &high[2 * width], &high[3 * width]};
        uint64_t top_of = ~uint64_t(0);
        double top_c = 0, high_c[4];
#pragma omp for schedule(static)
        for (uint64_t two = 0; two < (n_pairs + 1) / 2; two++) {
            const uint64_t first_high = 2 * (first_pair + 2 * two);
            for (int q = 0; q < 4; q++) {
                const uint64_t h = first_high + q, h_top = h >> middle_bits;
                if (h_top != top_of) {
                    top_of = h_top;
                    top_c = 0;
                    std::copy(b, b + m, top.begin());
                    for (size_t i = low_bits + middle_bits; i < n; i++)
                        if (top_of >> (i - low_bits - middle_bits) & 1) {
                            for (size_t j = 0; j < m; j++) top[j] += W[i * m + j];
                            top_c += c[i];
                        }
                    if (tame) k.exponential(top.data(), m, top.data());
                }
                const double* factor = &middle.rows[(h & (n_middle - 1)) * width];
                for (size_t j = 0; j < m; j++) high[q * width + j] = tame ? top[j] * factor[j] : top[j] + factor[j];
                high_c[q] = top_c + middle.c[h & (n_middle - 1)];
            }
            if (tame) {
                k.products(low.rows.data(), n_low, highs, 0, width, safe, out.data(), powers.data());
                k.log_products(out.data(), powers.data(), 4 * n_low);
            } else {
                for (uint64_t s = 0; s < 4 * n_low; s++) {
                    out[s] = 0;
                    for (size_t j = 0; j < m; j++) sums[j] = high[s % 4 * width + j] + low.rows[s / 4 * width + j];
                    k.softplus(sums.data(), m, sums.data());
                    for (size_t j = 0; j < m; j++) out[s] += sums[j];
                }
            }
            // From states in the order of the low bits, each with four values of the others, to one value after the other.
            std::vector<double>& minus_f = powers;
            for (uint64_t q = 0; q < 4; q++)
                for (uint64_t s = 0; s < n_low; s++) minus_f[q * n_low + s] = out[4 * s + q] + (low.c[s] + high_c[q]);
            for (uint64_t half = 0; half < 2 && 2 * two + half < n_pairs; half++) {
                const double* of = &minus_f[2 * half * n_low];
                const uint64_t offset = (first_high + 2 * half) * n_low;
                const uint64_t start = std::max(first, offset) - offset, stop = std::min(last, offset + 2 * n_low) - offset;
                logs[2 * two + half] = log_sum_exp(k, of + start, stop - start);
            }
        }
    }
    return log_sum_exp(k, logs.data(), logs.size());
}

}  // namespace harmonium
