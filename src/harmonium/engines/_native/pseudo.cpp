// The pseudo-likelihood: how probable each visible unit's state is given those of all others.
#include <math.h>

#include <algorithm>
#include <vector>

#include "machine.hpp"

namespace harmonium {

constexpr size_t UNITS = 16, ROWS = 4;  // visible units whose exponentials are made ready; rows that share a pass over them
constexpr size_t SHARING = 8;           // rows that share a pass over the weights
constexpr size_t FEW = 64, MOST_KEPT = size_t(1) << 22;  // rows for which exp(W) is kept, and numbers that are kept at most
constexpr double TAME = 300;            // arguments beyond which exponentials are not taken, so that nothing over- or underflows
constexpr double LINEAR = 40;           // where softplus(x) is x

static int safe_factors(double largest_log) { return std::max(1, int(700 / (largest_log + 0.7))); }

// The sum of softplus(x), of which x is not kept; `ones` are as many as there are x, in groups of eight.
static double softplus_sum(const Kernels& k, double* x, size_t n, const double* ones) {
    double linear = 0, mantissas[ROWS], powers[ROWS];
    for (size_t i = 0; i < n; i++) {
        if (x[i] > LINEAR) linear += x[i];
        x[i] = x[i] > LINEAR ? -TAME : std::max(x[i], -TAME);
    }
    k.quick_exponential(x, n, x);
    std::fill(x + n, x + round_up(n, 8), 0.0);
    const double* const same[ROWS] = {ones, ones, ones, ones};
    k.products(x, 1, same, 0, round_up(n, 8), safe_factors(LINEAR), mantissas, powers);
    k.log_products(mantissas, powers, 1);
    return linear + mantissas[0];
}

// exp(W) for some visible units, a row of round_up(n, 32) for each, and the sums of their weights.
static void exponentiate(const Kernels& k, const Tiles& W, size_t first, size_t units, size_t n, double* table, double* sums) {
    std::fill_n(sums, units, 0.0);
    for (size_t i = 0; i < n; i += 32)
        for (size_t u = 0; u < units; u++) sums[u] += k.exponentials_of_floats(&W.at(first + u, i), 32, table + u * round_up(n, 32) + i);
}

// They take as long as some ten rows do, so they are kept when few rows are scored again with the same weights.
const double* Machine::exponentials() const {
    Machine& self = const_cast<Machine&>(*this);
    const std::lock_guard<std::mutex> lock(packing_);
    const size_t width = round_up(n_, 32);
    if (!exponentials_current_ && scored_few_ && m_ * width <= MOST_KEPT) {
        double* table = self.exponentials_.reserve(m_ * (width + 1));
#pragma omp parallel for num_threads(threads_for(double(m_) * n_ * 4)) schedule(static)
        for (size_t first = 0; first < m_; first += UNITS)
            exponentiate(kernels_, W_, first, std::min(UNITS, m_ - first), n_, table + first * width, table + m_ * width + first);
        self.exponentials_current_ = true;
    }
    self.scored_few_ = true;
    return exponentials_current_ ? exponentials_.get() : nullptr;
}

// exp(-F) has the factors 1 + exp(a_i), a = Wv + c, and they become 1 + exp(a_i + W_ij) where unit j goes on, or
// 1 + exp(a_i - W_ij) where it goes off. With exp(a_i) or exp(-W_ij) taken out, the ratios of the factors are
// (exp(-a_i) + exp(W_ij)) / (exp(-a_i) + 1), or exp(-W_ij) (exp(a_i) + exp(W_ij)) / (exp(a_i) + 1): an addition each.
void Machine::pseudo_log_likelihood(Bits v, double* out) const {
    const Kernels& k = kernels_;
    const double* const kept = v.rows < FEW ? exponentials() : nullptr;
    const size_t width = round_up(n_, 32), n_blocks = (m_ + UNITS - 1) / UNITS, stride = round_up(m_, 8);
    const size_t most_rows = std::clamp((size_t(1) << 16) / std::max({width, m_ / 16, size_t(1)}), size_t(32), size_t(256));
    const size_t max_rows = std::min(v.rows, most_rows);
    double largest = 0;  // no weight is larger
    for (size_t i = 0; i < n_; i++) largest = std::max(largest, ldexp(double(hidden_.exact.scale[i]), 23));

    static thread_local Buffer<double> own_exponentials, own_changes, own_bases, own_ones;
    // Of a row exp(-a), and then exp(a).
    double *exponentials = own_exponentials.reserve(2 * max_rows * width), *bases = own_bases.reserve(2 * max_rows);
    double *changes = own_changes.reserve(max_rows * stride), *ones = own_ones.reserve(std::max(width, stride));
    std::fill_n(ones, std::max(width, stride), 1.0);
    std::vector<double> extremes(max_rows);

    for (size_t start = 0; start < v.rows; start += max_rows) {
        const size_t rows = std::min(max_rows, v.rows - start), n_groups = (rows + ROWS - 1) / ROWS;
        const auto words = [&](size_t r) { return v.words + (start + r) * v.stride; };
        const auto is_tame = [&](size_t r) { return std::max(extremes[r], largest) < TAME; };
        // Wv + c for some rows, the sums in the order of the visible units; zero beyond the last hidden one.
        const auto arguments = [&](size_t first, size_t n, const auto& to) {
            static thread_local std::vector<uint64_t> at[SHARING];
            for (size_t r = 0; r < n; r++) {
                at[r].clear();
                for (size_t word = 0; word < v.stride; word++)
                    for (uint64_t left = words(first + r)[word]; left; left &= left - 1)
                        at[r].push_back(W_.offset(word * 64 + __builtin_ctzll(left)));
                std::copy_n(c_.get(), n_, to(r));
                std::fill(to(r) + n_, to(r) + width, 0.0);
            }
            for (size_t i = 0; i < n_; i += 32)
                for (size_t r = 0; r < n; r++) k.add_rows_of_32(W_.panel(i / 32), at[r].data(), at[r].size(), to(r) + i);
        };
#pragma omp parallel num_threads(threads_for(double(rows) * m_ * n_))
        {
#pragma omp for schedule(static)
            for (size_t first = 0; first < rows; first += SHARING) {
                const size_t n = std::min(SHARING, rows - first);
                const auto positive = [&](size_t r) { return exponentials + (2 * (first + r) + 1) * width; };
                arguments(first, n, positive);
                for (size_t r = first; r < first + n; r++) {
                    double *on = positive(r - first), *off = on - width, mantissas[ROWS], powers[ROWS];
                    extremes[r] = 0;
                    for (size_t i = 0; i < n_; i++) {
                        extremes[r] = std::max(extremes[r], fabs(on[i]));
                        off[i] = -on[i];
                    }
                    if (is_tame(r)) {
                        k.quick_exponential(off, n_, off);
                        k.quick_exponential(on, n_, on);
                    } else {
                        std::fill_n(off, 2 * width, 1.0);
                    }
                    // Beyond the last hidden unit, where exp(W) is one, the factors are one.
                    for (double* x : {off, on}) std::fill(x + n_, x + width, 0.0);
                    const double* const both[ROWS] = {off, on, off, on};
                    k.products_of_sums(ones, 1, both, 0, width, safe_factors(std::min(extremes[r], TAME)), mantissas, powers);
                    k.log_products(mantissas, powers, 2);
                    std::copy_n(mantissas, 2, bases + 2 * r);
                }
            }
            double extreme = largest;
            for (size_t r = 0; r < rows; r++)
                if (is_tame(r)) extreme = std::max(extreme, extremes[r]);
            const int safe = safe_factors(extreme);
#pragma omp for schedule(static)
            for (size_t block = 0; block < (largest < TAME ? n_blocks : 0); block++) {
                static thread_local Buffer<double> own_table;
                double own_sums[UNITS], flipped[UNITS * ROWS], powers[UNITS * ROWS];
                const double* factors[UNITS * ROWS];
                const size_t first = block * UNITS, units = std::min(UNITS, m_ - first);
                const double *table, *sums;
                if (kept) {
                    table = kept + first * width, sums = kept + m_ * width + first;
                } else {
                    exponentiate(k, W_, first, units, n_, own_table.reserve(UNITS * width), own_sums);
                    table = own_table.get(), sums = own_sums;
                }
                for (size_t group = 0; group < n_groups; group++) {
                    uint32_t on[ROWS];  // a bit for each unit
                    for (size_t q = 0; q < ROWS; q++) {
                        const size_t r = std::min(group * ROWS + q, rows - 1);
                        on[q] = uint32_t(words(r)[first / 64] >> first % 64);
                        for (size_t u = 0; u < units; u++) factors[u * ROWS + q] = exponentials + (2 * r + (on[q] >> u & 1)) * width;
                    }
                    k.products_of_sums(table, units, factors, ROWS, width, safe, flipped, powers);
                    k.log_products(flipped, powers, units * ROWS);
                    for (size_t q = 0; q < std::min(ROWS, rows - group * ROWS); q++) {
                        const size_t r = group * ROWS + q;
                        for (size_t u = 0; u < units; u++) {
                            const double bias = b_[first + u], change = flipped[u * ROWS + q] - bases[2 * r + (on[q] >> u & 1)];
                            changes[r * stride + first + u] = on[q] >> u & 1 ? change - sums[u] - bias : change + bias;
                        }
                    }
                }
            }
#pragma omp for schedule(static)
            for (size_t r = 0; r < rows; r++) {
                double* const change = changes + r * stride;
                if (!is_tame(r)) {
                    static thread_local Buffer<double> own_terms;
                    double *a = own_terms.reserve(3 * width), *before = a + width, *after = before + width;
                    arguments(r, 1, [&](size_t) { return a; });
                    k.softplus(a, n_, before);
                    for (size_t j = 0; j < m_; j++) {
                        const double sign = words(r)[j / 64] >> (j % 64) & 1 ? -1 : 1;
                        for (size_t i = 0; i < n_; i++) after[i] = a[i] + sign * double(W_.at(j, i));
                        k.softplus(after, n_, after);
                        change[j] = sign * double(b_[j]);
                        for (size_t i = 0; i < n_; i++) change[j] += after[i] - before[i];
                    }
                }
                out[start + r] = -softplus_sum(k, change, m_, ones);
            }
        }
    }
}

}  // namespace harmonium
