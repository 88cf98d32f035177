// What an instruction set provides. Each set is one compilation of kernels.cpp; one is chosen when the module loads.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace harmonium {

struct NoiseKey {
    uint32_t seed_low, seed_high, step, stream, row;
};

// beta * x + offset, a product and then a sum. An entry of either part serves as many consecutive rows as there are to a
// group; offsets have `stride` numbers a group.
struct Affine {
    const float *beta, *offset;  // null for one, and for none
    size_t rows_of_beta, rows_of_offset, stride;

    float beta_of(size_t row) const { return beta ? beta[row / rows_of_beta] : 1.0f; }
    const float* offset_of(size_t row) const { return offset ? offset + row / rows_of_offset * stride : nullptr; }
};

// A unit that an early decision leaves open: its row and column in a tile, and its random word.
struct Open {
    uint32_t row, column, word;
};

struct Rates {
    float learning_rate, momentum, weight_decay;
};

typedef void (*Elementwise)(const double* x, size_t n, double* out);

// How F is packed for products, and bits are made ready for them: `max_rows` rows of bits at a time and columns of F in
// blocks of 32, with sums in blocks of 64.
struct Form {
    size_t packed_bytes_per_block;
    // At most `max_rows` rows of bits (`stride` 64-bit words a row) made ready: words first .. last - 1 of each, out of
    // `n_blocks`. The calls for other words may run at the same time.
    size_t (*prepared_bytes)(int rows, int n_blocks);
    void (*prepare)(const uint64_t* bits, size_t stride, int rows, int n_blocks, int first, int last, void* prepared);
};

struct Kernels {
    const char* name;
    int max_rows;

    Form exact;
    // Packing of 64 x 32 numbers as block `block` of `n_blocks`: they are scaled and rounded to integers of 24 bits.
    // Either x[k * 32 + n] * k_factors[k] * n_factors[n], without the factors that are null, or, for k < 32,
    // low[n * 32 + k] * n_factors[n] and, for the other k, high[n * 32 + k - 32] * n_factors[n].
    void (*pack_kn)(const float* x, const float* k_factors, const float* n_factors, void* columns, int n_blocks, int block);
    void (*pack_nk)(const float* low, const float* high, const float* n_factors, void* columns, int n_blocks, int block);

    // out[r * out_stride + n] = scale[n] * (sum over k of bit[r, k] * q[k, n]), rounded once, + bias[n], for n < 32. The numbers
    // of columns from `width` on are all zero.
    void (*product)(const void* prepared, int rows, int n_blocks, const void* columns, int width, const float* scale,
                    const float* bias, float* out, size_t out_stride);

    // Early decisions (early.hpp); null, all of this, where they would not be faster.
    Form early;
    // Packing of the same numbers as integers of 16 bits. Returns a bit for each column whose sums these cannot hold.
    uint32_t (*pack_early_kn)(const float* x, const float* n_factors, void* columns, int block);
    uint32_t (*pack_early_nk)(const float* low, const float* high, const float* n_factors, void* columns, int block);
    // Makes extents[n] as large as any sum of some of these numbers, whatever its sign.
    void (*extents_kn)(const float* x, float* extents);
    void (*extents_nk)(const float* low, const float* high, float* extents);
    // What `product` and `sample` give for tile rows first, ..., where 16 bits suffice to tell. Lists the other units,
    // at most rows x 32, and returns their number.
    int (*decide_early)(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, const float* bias,
                        const Affine& affine, size_t first, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out,
                        size_t stride, Open* open);
    // Sums of 24-bit integers over those that are on: x[b * stride + k % 64 * 32 + column] * factor, where b = k / 64, and
    // x[b * stride + k % 32] * factor, where b = k / 32.
    int64_t (*sum_down)(const float* x, size_t stride, int n_blocks, float factor, const uint64_t* bits, int column);
    int64_t (*sum_across)(const float* x, size_t stride, int n_blocks, float factor, const uint64_t* bits);
    // Whether (word + 1/2) / 2^32 < sigmoid(x).
    bool (*settle)(float x, uint32_t word);

    // Bits for `rows` x 32 logits at columns `column`, ...: row r's word goes to out[r * stride], masked by `valid`.
    void (*sample)(const float* tile, int rows, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride);
    // Means of the units that are `valid`, and bits if there is a key.
    void (*expect)(const float* tile, int rows, const NoiseKey* key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride,
                   float* mean, size_t mean_stride);
    // As `sample`, for probabilities in place of logits.
    void (*draw)(const float* tile, int rows, NoiseKey key, uint32_t column, uint32_t valid, uint32_t* out, size_t stride);
    // The noise itself.
    void (*random)(NoiseKey key, int rows, int columns, uint32_t* out);

    // beta * x + offset for n numbers; `offset` may be null, and `out` may be x.
    void (*affine)(const float* x, size_t n, float beta, const float* offset, float* out);
    void (*mean)(const float* logits, size_t n, float* out);
    double (*softplus_sum)(const float* logits, size_t n);

    // velocity = momentum * velocity + rate * (gradient - decay * w); w += velocity; for `rows` rows of 32. Keeps the largest
    // |w| of each column, and of each row in 16 parts: row_max[16 * r], ...
    void (*update)(float* w, float* velocity, const float* gradient, int rows, Rates rates, float* column_max, float* row_max);

    // gradient[r, i] -= v[r] * h[i] for `rows` rows of 32: what an offset of the visible units takes off.
    void (*centre)(float* gradient, int rows, const float* v, const float* h);
    // row_sum[r] += sum over i of x[r, i] * h[i], column_sum[i] += sum over r of x[r, i] * v[r].
    void (*offset_sums)(const float* x, int rows, const float* v, const float* h, float* row_sum, float* column_sum);

    // The maxima alone.
    void (*maxima)(const float* w, int rows, float* column_max, float* row_max);

    // out[r * width of a panel + i] = sum over t < n_terms of x[t * rows + r] * f[at[t] + i], in that order, for 4 rows or 1 and
    // i < width. A panel is 128 bytes wide.
    void (*dense_floats)(const float* x, const uint64_t* at, size_t n_terms, int rows, const float* f, int width, float* out);
    void (*dense_doubles)(const double* x, const uint64_t* at, size_t n_terms, int rows, const double* f, int width, double* out);

    // Elementwise, in double precision.
    Elementwise exponential, logarithm, logistic, softplus;

    // Turns 64 rows of 64 bits into 64 columns.
    void (*transpose_bits)(uint64_t block[64]);

    // For c < count and k < 4: mantissa[4 * c + k] * 2^power[4 * c + k] is the product over j < n of 1 + x y, or of x + y,
    // where x = x[c * n + j] and y = y[step * c + k][j]. The products of `safe` factors stay within range; n is a multiple of 8.
    void (*products)(const double* x, size_t count, const double* const* y, size_t step, size_t n, int safe, double* mantissa,
                     double* power);
    void (*products_of_sums)(const double* x, size_t count, const double* const* y, size_t step, size_t n, int safe,
                             double* mantissa, double* power);
    // mantissa[i] becomes log(mantissa[i]) + power[i] * log(2).
    void (*log_products)(double* mantissa, const double* power, size_t n);
    // out[i] = exp(x[i]) for |x[i]| < 700; returns the sum of x. n is a multiple of 16.
    double (*exponentials_of_floats)(const float* x, size_t n, double* out);
    Elementwise quick_exponential;

    // sums[i] += the sum over t < n_terms of f[at[t] + i], in that order, for i < 32.
    void (*add_rows_of_32)(const float* f, const uint64_t* at, size_t n_terms, double* sums);

    // all[j] = the sum over s < 2^bits of w[s] logistic(x[j] + low[8 s + j]) for j < 8, and with[8 i + j] that over the s whose
    // bit i is on; bits > 2. The first takes exponentials of x and low, whose products are below 1e150.
    void (*moments_of_exponentials)(const double* x, const double* low, const double* w, int bits, double* all, double* with);
    void (*moments)(const double* x, const double* low, const double* w, int bits, double* all, double* with);

    // Whether n doubles, rounded, are these floats.
    bool (*round_to)(const double* x, const float* y, size_t n);
};

extern const Kernels* const portable_kernels;
#ifdef HARMONIUM_X86
extern const Kernels* const avx2_kernels;
extern const Kernels* const avx512_kernels;
extern const Kernels* const amx_kernels;
#endif

}  // namespace harmonium
