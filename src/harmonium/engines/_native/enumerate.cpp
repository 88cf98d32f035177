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

// A bound of all arguments b_j + (W'h)_j.
static double largest_argument(size_t m, size_t n, const double* W, const double* b) {
    double largest = 0;
    for (size_t j = 0; j < m; j++) {
        double up = b[j], down = b[j];
        for (size_t i = 0; i < n; i++) (W[i * m + j] > 0 ? up : down) += W[i * m + j];
        largest = std::max({largest, fabs(up), fabs(down)});
    }
    return largest;
}
constexpr double TAME = 200;  // arguments below which no exponential and no product of three of them leaves the range

// Calls use(k, number, values, n) for -F(h) of n consecutive hidden states at a time, the first of them being `number`, and k
// the number of the call, of which there are n_calls(...).
static size_t n_calls(uint64_t low_bits, uint64_t first, uint64_t count) {
    return size_t(((first + count - 1) >> low_bits) / 2 + 1 - (first >> low_bits) / 2);
}
static size_t bits_of_table(size_t m, size_t n) {
    // Two tables together stay in the second-level cache.
    const size_t width = round_up(m, 8);
    size_t bits = 0;
    while ((width << (bits + 1)) * sizeof(double) <= 512 * 1024) bits++;
    return std::min(bits, n);
}

// exp(b_j + (W'h)_j) is a product of factors from the low, the middle and the high bits of h. Those of the low and the
// middle bits are tabled, so that a (state, visible unit) costs two multiplications and an addition.
template <class Use>
static void minus_free_energies(const Kernels& k, size_t m, size_t n, const double* W, const double* b, const double* c,
                                uint64_t first, uint64_t count, Use use) {
    const size_t width = round_up(m, 8), low_bits = bits_of_table(m, n), middle_bits = std::min(bits_of_table(m, n), n - low_bits);
    const uint64_t n_low = uint64_t(1) << low_bits, n_middle = uint64_t(1) << middle_bits;
    const double largest = largest_argument(m, n, W, b);
    const bool tame = largest < TAME;
    const int safe = std::max(1, int(700 / (largest + 0.7)));
    const Table low(k, m, width, W, c, 0, low_bits, tame), middle(k, m, width, W, c, low_bits, middle_bits, tame);

    // Pairs of values of the middle and high bits, each with all low bits; at the ends some states are left out. Two pairs
    // are worked on together.
    const uint64_t last = first + count, first_pair = (first >> low_bits) / 2, last_pair = ((last - 1) >> low_bits) / 2 + 1;
    const uint64_t n_pairs = last_pair - first_pair;
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
            std::vector<double>& values = powers;
            for (uint64_t q = 0; q < 4; q++)
                for (uint64_t s = 0; s < n_low; s++) values[q * n_low + s] = out[4 * s + q] + (low.c[s] + high_c[q]);
            for (uint64_t half = 0; half < 2 && 2 * two + half < n_pairs; half++) {
                const double* of = &values[2 * half * n_low];
                const uint64_t offset = (first_high + 2 * half) * n_low;
                const uint64_t start = std::max(first, offset) - offset, stop = std::min(last, offset + 2 * n_low) - offset;
                use(2 * two + half, offset + start, of + start, size_t(stop - start));
            }
        }
    }
}

double log_partition_block(const Kernels& k, size_t m, size_t n, const double* W, const double* b, const double* c,
                           uint64_t first, uint64_t count) {
    std::vector<double> logs(n_calls(bits_of_table(m, n), first, count));
    minus_free_energies(k, m, n, W, b, c, first, count, [&](size_t call, uint64_t, const double* values, size_t n_values) {
        logs[call] = log_sum_exp(k, values, n_values);
    });
    return log_sum_exp(k, logs.data(), logs.size());
}

void moments_block(const Kernels& k, size_t m, size_t n, const double* W, const double* b, const double* c, uint64_t first,
                   uint64_t count, double log_z, double* out) {
    // Whole runs of states with the same high bits; those that were not asked for weigh nothing.
    const int low_bits = int(std::clamp(n, size_t(3), size_t(7)));
    const uint64_t n_low = uint64_t(1) << low_bits, first_run = first >> low_bits, n_runs = ((first + count - 1) >> low_bits) + 1 - first_run;
    std::vector<double> w(n_runs << low_bits, 0.0);
    minus_free_energies(k, m, n, W, b, c, first, count, [&](size_t, uint64_t number, const double* values, size_t n_values) {
        double* const to = &w[number - (first_run << low_bits)];
        for (size_t s = 0; s < n_values; s++) to[s] = values[s] - log_z;
        k.exponential(to, n_values, to);
    });
    const bool tame = largest_argument(m, n, W, b) < TAME;
    const auto of_panel = tame ? k.moments_of_exponentials : k.moments;
    // One more visible unit, which knows nothing and so is on half of the time: twice its moments are those of the weights.
    const size_t columns = m + 1, n_panels = round_up(columns, 8) / 8;
    std::fill_n(out, (n + 1) * columns, 0.0);
#pragma omp parallel num_threads(threads_for(double(count) * m))
    {
        std::vector<double> low(n_low * 8), with(size_t(low_bits) * 8);
        double x[8], all[8];
#pragma omp for schedule(static)
        for (size_t panel = 0; panel < n_panels; panel++) {
            const size_t from = panel * 8, own = std::min(size_t(8), m - std::min(m, from)), kept = std::min(size_t(8), columns - from);
            std::fill(low.begin(), low.end(), 0.0);
            for (uint64_t s = 1; s < n_low; s++) {
                const int bit = 63 - __builtin_clzll(s);
                const double* before = &low[(s & ~(uint64_t(1) << bit)) * 8];
                for (size_t j = 0; j < own; j++) low[s * 8 + j] = before[j] + (size_t(bit) < n ? W[bit * m + from + j] : 0.0);
            }
            if (tame) k.exponential(low.data(), low.size(), low.data());
            for (uint64_t run = 0; run < n_runs; run++) {
                std::fill_n(x, 8, 0.0);
                for (size_t j = 0; j < own; j++) x[j] = b[from + j];
                for (size_t i = low_bits; i < n; i++)
                    for (size_t j = 0; j < own && ((first_run + run) >> (i - low_bits) & 1); j++) x[j] += W[i * m + from + j];
                if (tame) k.exponential(x, 8, x);
                of_panel(x, low.data(), &w[run << low_bits], low_bits, all, with.data());
                for (size_t i = 0; i <= n; i++) {
                    const bool counts = i == n || i < size_t(low_bits) || (first_run + run) >> (i - low_bits) & 1;
                    const double* part = i < n && i < size_t(low_bits) ? &with[8 * i] : all;
                    for (size_t j = 0; j < kept && counts; j++) out[i * columns + from + j] += part[j];
                }
            }
        }
    }
    for (size_t i = 0; i <= n; i++) out[i * columns + m] *= 2;
}

}  // namespace harmonium
