// One machine on the native engine: its parameters, their packed copies, and the verbs, spread over OpenMP threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "kernels.hpp"

namespace harmonium {

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Zeroed memory aligned to cache lines.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(size_t n) { reserve(n); }
    Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }
    // Makes room for n items; what was there is lost when it grows.
    T* reserve(size_t n);
    T* get() const { return data_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

  private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

// Binary states: rows of 64-bit words, unit k in bit k % 64 of word k / 64, zeros beyond the last unit.
struct Bits {
    const uint64_t* words;
    size_t rows, stride;
};

// A K x N matrix of fixed-point numbers with a power-of-two scale for each column, packed for products of bits.
struct Packed {
    const Form* form = nullptr;
    int n_units = 0, n_blocks = 0, n_columns = 0;  // N, ceil(K / 64), ceil(N / 32)
    Buffer<char> data;
    Buffer<float> scale, inverse;  // what one is worth, for each column, and its inverse: powers of two
    // Copies of weights are made when they are asked for. Those asked for since the last step of training are kept up by
    // the next one, the others let go.
    bool current = false, asked = false;

    void shape(const Form& form, size_t n_sums, size_t n_units);
    void reserve() { data.reserve(size_t(n_columns) * n_blocks * form->packed_bytes_per_block); }
    // The scale with which `bits` and a sign hold numbers up to `largest`; returns whether that is another than before.
    bool fit(size_t unit, float largest, int bits);
    char* column(int i) const { return data.get() + i * form->packed_bytes_per_block * n_blocks; }
};

// A real matrix of any layout; strides in elements.
template <class T>
struct Strided {
    const T* data;
    size_t rows, columns;
    ptrdiff_t row_stride, column_stride;
};

// One side of a gradient: bits, expectations of the hidden units (rows x n_hidden), and weights of the rows that sum to 1.
struct Side {
    Bits v;
    const float* mean_h;
    const float* weights;  // null for equal ones
    const Strided<float>* real;  // in place of the bits, unless it is null
};

// What a centred gradient takes off the states of both layers (Melchior, Fischer, Wiskott 2016); null for nothing.
struct Offsets {
    const float *v, *h;
};

// An (n_visible, n_hidden) matrix in tiles of 64 x 32, so that a step walks through memory in order.
class Tiles {
  public:
    Tiles(size_t n_visible, size_t n_hidden)
        : n_visible_(n_visible), n_hidden_(n_hidden), n_columns_((n_hidden + 63) / 64 * 2), data_((n_visible + 63) / 64 * n_columns_ * 2048) {}
    float* tile(size_t visible_block, size_t column) const { return data_.get() + (visible_block * n_columns_ + column) * 2048; }
    size_t stride() const { return n_columns_ * 2048; }  // from a tile to the next one below
    // Where row j of each of the tiles of column 0 begins, and where column i's tiles begin.
    size_t offset(size_t j) const { return j / 64 * n_columns_ * 2048 + j % 64 * 32; }
    const float* panel(size_t column) const { return data_.get() + column * 2048; }
    float& at(size_t j, size_t i) const { return tile(j / 64, i / 32)[j % 64 * 32 + i % 32]; }
    // From an array of shape (n_hidden, n_visible), and to one of shape (n_visible, n_hidden).
    void read(const Strided<float>& array);
    void write(float* array) const;

  private:
    size_t n_visible_, n_hidden_, n_columns_;
    Buffer<float> data_;
};

class Machine {
  public:
    // W is (n_hidden, n_visible); all are copied.
    Machine(const Kernels& kernels, const Strided<float>& W, const float* b, const float* c);

    // Other parameters; the velocity stays.
    void replace(const Strided<float>& W, const float* b, const float* c);

    size_t n_visible() const { return m_; }
    size_t n_hidden() const { return n_; }
    Tiles& weights() { return W_; }
    Tiles& weight_velocity() { return dW_; }
    float* b() { return b_.get(); }
    float* c() { return c_.get(); }
    float* b_velocity() { return db_.get(); }
    float* c_velocity() { return dc_.get(); }

    void logits(bool hidden, Bits states, float* out) const;
    // Logits of the hidden units, their logistic function, and bits drawn from them; each unless it is null.
    void expect_h(Bits v, float* logits, float* mean, const NoiseKey* key, uint64_t* bits) const;
    // Wv + c for real v.
    void dense_logits_h(const Strided<float>& v, float* out) const;
    void sample(bool hidden, Bits states, NoiseKey key, const Affine& affine, uint64_t* out, size_t out_stride) const;
    // `n` sweeps v -> h -> v from `start`, into `v`; `h` is room for the hidden units. The steps of the keys go on by one a
    // sweep. Where `free` is given, visible units without its bits stay as they are. Without `free`, the start may be `real`.
    void sweeps(const uint64_t* start, const Strided<float>* real, uint64_t* v, uint64_t* h, size_t rows, NoiseKey key_h, NoiseKey key_v, size_t n,
                const Affine& of_h, const Affine& of_v, const uint64_t* free) const;
    // Sums of v (weighted h)', weighted v and weighted h: (n_visible, n_hidden), (n_visible,), (n_hidden,).
    void moments(const Side& side, float* hv, float* v, float* h) const;
    // Only the positive side may be real, and only without offsets.
    void ascend(Side positive, Side negative, Rates rates, Offsets offsets);
    // One step of contrastive divergence. Chains start at the batch's own hidden states, or at `start`.
    struct Contrast {
        Bits batch;
        const Strided<float>* real;  // in place of the bits, unless it is null; such steps are not centred
        const float* weights;  // of its rows; null for equal ones
        const uint64_t* start;
        size_t n_chains, n_sweeps;
        NoiseKey key, key_h, key_v;
        // What centres the step, if `centre_v` is given: the running mean of h, null before the first step, and its move.
        const float *centre_v, *centre_h;
        float share;
        // Results: the chains' v and mean of h; logits and h where persistent chains go on; the running mean.
        uint64_t* v;
        float *mean, *logits;
        uint64_t* h;
        float* centre;
    };
    void contrast(const Contrast& step, Rates rates);
    // One step after the other, each with rates of its own. With `numbers`, the rows of step i are numbers[i * step.batch.rows], ...
    // of the data that `step` has in place of a batch. `step.start` may become `step.h`.
    void contrasts(Contrast step, const int64_t* numbers, const std::vector<Rates>& rates);
    // One step along a gradient given as arrays: (n_visible, n_hidden), (n_visible,), (n_hidden,).
    void ascend_along(const float* gW, const float* gb, const float* gc, Rates rates);
    void pseudo_log_likelihood(Bits v, double* out) const;
    void free_energy(Bits v, double* out) const;
    void free_energy(const Strided<float>& v, double* out) const;  // rows one after the other
    bool is_finite() const;
    // Whether these are the parameters, rounded to floats: W is (n_hidden, n_visible).
    template <class T>
    bool holds(const Strided<T>& W, const T* b, const T* c) const;
    // Writes the weights to an array of that shape.
    template <class T>
    void write(T* W, ptrdiff_t row_stride, ptrdiff_t column_stride) const;
    // Which copies of the weights there are, for tests.
    std::vector<std::string> copies() const;

  private:
    // The sums of `sides` as tiles of at most 64 x 64, first index visible: use(first / 64, rows, column / 64, two halves
    // of 64 x 32, sums of the hidden units). With an `offset` it is taken off the hidden expectations first, which
    // leaves their sum h as it is where the weights of all sides add up to zero.
    template <class Use>
    void gradient_tiles(const Side* sides, int n_sides, const float* offset, float* v, float* h, Use use) const;
    // The weights of one layer's logits. Rounds 64 x 32 or 32 x 64 of them to fixed point and packs them, and all of them.
    struct Layer {
        Packed exact, early;
    };
    void pack(bool hidden, int column, int block);
    uint32_t pack_early(bool hidden, int column, int block);
    void fit_early(bool hidden, int column);
    Packed& ready(bool hidden, bool early) const;
    // Scales of 24 bits for all weights as they are; nothing packed before is valid.
    void renew();
    void forget_rows() { rows_h_current_ = exponentials_current_ = scored_few_ = false, n_open_h_ = 0; }

    bool decides_early(bool hidden, Bits states, const Affine& affine) const;
    void sample_early(bool hidden, Bits states, NoiseKey key, const Affine& affine, uint64_t* out, size_t out_stride) const;
    // The logit of one unit, as `product` would give it; `rows` as `rows_h` gives it.
    float logit(bool hidden, size_t unit, const uint64_t* bits, const float* rows) const;
    // The weights of each hidden unit in a row; null as long as making them is not worth it.
    const float* rows_h() const;
    // exp(W) for each visible unit in a row of round_up(n_, 32), and then the sums of these weights; null as long as making
    // them is not worth it.
    const double* exponentials() const;
    size_t row_length() const { return round_up(m_, 64); }

    const Kernels& kernels_;
    size_t m_, n_;
    Tiles W_, dW_;
    Buffer<float> b_, db_, c_, dc_;
    Layer hidden_, visible_;
    Buffer<float> rows_h_;
    bool rows_h_current_ = false;
    Buffer<double> exponentials_;
    bool exponentials_current_ = false, scored_few_ = false;
    mutable std::atomic<size_t> n_open_h_{0};  // hidden units that early decisions left open since the weights changed
    std::mutex& packing_;  // held while copies are made; one of a few that all machines share
};

// Elementwise verbs over rows of logits.
void bernoulli(const Kernels& k, const float* logits, size_t rows, size_t n, NoiseKey key, const Affine& affine, uint64_t* out,
               size_t out_stride);
void draw(const Kernels& k, const float* p, size_t rows, size_t n, NoiseKey key, uint64_t* out, size_t out_stride);
void mean(const Kernels& k, const float* logits, size_t rows, size_t n, const Affine& affine, float* out);
void softplus_sum(const Kernels& k, const float* logits, size_t rows, size_t n, const Affine& affine, double* out);
void encode(const uint8_t* X, size_t rows, size_t n, uint64_t* out, size_t out_stride);
// The same for real numbers; false where there are others than 0 and 1.
template <class T>
bool encode_binary(const T* X, size_t rows, size_t n, uint64_t* out, size_t out_stride);
// Numbers as floats; false where some are not within [0, 1].
template <class T>
bool floats_of_unit(const T* X, size_t rows, size_t n, float* out);
void decode(Bits states, size_t n, uint8_t* out);
void dot(Bits states, size_t n, const float* x, double* out);
// The same for real rows one after the other, added up as NumPy adds up a row of products, in pairs.
void dot(const float* v, size_t rows, size_t n, const float* x, double* out);

// out = x @ F, where F is (x.columns, n): floating-point sums whose order depends on nothing.
template <class T>
void matmul(const Kernels& k, const Strided<T>& x, const T* F, size_t n, T* out);
void elementwise(Elementwise function, const double* x, size_t n, double* out);

// log of the sum of exp(-F(h)) over hidden states first .. first + count - 1; W is (n_hidden, n_visible).
double log_partition_block(const Kernels& k, size_t n_visible, size_t n_hidden, const double* W, const double* b, const double* c,
                           uint64_t first, uint64_t count);

// Sums of exp(-F(h) - log_z) E[s | h] over the same states, as a matrix of shape (n_hidden + 1, n_visible + 1): of h_i v_j, and
// in the last row of v_j, in the last column of h_i, in the corner of 1.
void moments_block(const Kernels& k, size_t n_visible, size_t n_hidden, const double* W, const double* b, const double* c,
                   uint64_t first, uint64_t count, double log_z, double* out);

// The kernels for an instruction set by name, or the best that this processor runs for nullptr; nullptr if it cannot.
const Kernels* find_kernels(const char* name);

// How many threads are worth having for this much work (in elementary operations).
int threads_for(double work);
// As many as there may be.
int max_threads();
// From now on as if the threads had just worked, or not: so that what compares threads uses them for few rows too.
// Returns what was assumed.
bool assume_awake(bool awake);
// While one exists, this thread is in a row of steps, each of which uses the threads again soon.
struct Steps {
    Steps();
    ~Steps();
};
// From now on that is always one: for a process that was forked.
void stay_on_one_thread();
// Wait until no thread makes copies of weights, and let none begin: for a fork, after which a lock that another thread held
// would be held for ever.
void lock_packing();
void unlock_packing();

}  // namespace harmonium
