// bits @ F in exact integer arithmetic, by tables: F's numbers are integers of 24 bits with a power-of-two scale a column.
#pragma once

#include "tables.hpp"

namespace HARMONIUM_ISA {

// The packed form of 32 columns of F: 64-row blocks of 64 x 32 integers, and the largest sum that some of a block's
// rows can have in a column, whatever its sign.
constexpr size_t PACKED_BYTES_PER_BLOCK = BLOCK_NUMBERS * sizeof(int32_t) + 64;

static int32_t* block_at(void* columns, int block) {
    return reinterpret_cast<int32_t*>(static_cast<char*>(columns) + block * PACKED_BYTES_PER_BLOCK);
}

// The sums of the positive and of all numbers of some columns: no subset of them sums up to more than `largest`. Without
// signs, as they may wrap around for weights that have outgrown their scale and will be packed again.
struct Bound {
    vu positive = {}, all = {};
    void add(vi x) {
        positive += (vu)(x > 0 ? x : (vi){});
        all += (vu)x;
    }
    int32_t largest(int32_t before) const {
        const vi sums[] = {(vi)positive, (vi)(positive - all)};
        for (const vi& x : sums)
            for (int i = 0; i < LANES; i++) before = before < x[i] ? x[i] : before;
        return before;
    }
};

static void pack_kn(const float* x, const float* k_factors, const float* n_factors, void* columns, int, int block) {
    int32_t *out = block_at(columns, block), largest = 0;
    for (int n = 0; n < 32; n += LANES) {
        Bound bound;
        for (int k = 0; k < 64; k++) {
            vf y = load<vf>(x + k * 32 + n);
            if (k_factors) y *= k_factors[k];
            if (n_factors) y *= load<vf>(n_factors + n);
            const vi q = quantised(y);
            store(out + k * 32 + n, q);
            bound.add(q);
        }
        largest = bound.largest(largest);
    }
    out[BLOCK_NUMBERS] = largest;
}

static void pack_nk(const float* low, const float* high, const float* n_factors, void* columns, int, int block) {
    int32_t *out = block_at(columns, block), largest = 0;
    for (int n = 0; n < 32; n += LANES) {
        Bound bound;
        for (int k = 0; k < 64; k += LANES) {
            vi square[LANES];
            const float* x = (k < 32 ? low : high) + n * 32 + k % 32;
            for (int i = 0; i < LANES; i++) square[i] = quantised(load<vf>(x + i * 32) * n_factors[n + i]);
            transpose(square);
            for (int i = 0; i < LANES; i++) {
                store(out + (k + i) * 32 + n, square[i]);
                bound.add(square[i]);
            }
        }
        largest = bound.largest(largest);
    }
    out[BLOCK_NUMBERS] = largest;
}

// Sums for rows of 32 columns, of any size. They are added up in 32 bits, and moved on before they could be too large
// for those, which weights that come from training seldom make them do.
class Sums {
  public:
    explicit Sums(int rows) : n_(rows * 32) { memset(partial_, 0, n_ * sizeof(int32_t)); }

    // Where to add, now, what has no larger sums than this.
    int32_t* room_for(int32_t largest) {
        bound_ += largest;
        if (bound_ > INT32_MAX) {
            move_on();
            bound_ = largest;
        }
        return partial_;
    }

    void write(const float* scale, const float* bias, float* out, size_t out_stride) {
        if (moved_) move_on();
        for (int i = 0; i < n_; i += LANES) {
            vf total;
            if (moved_) {
                const vi l = load<vi>(low_ + i), h = load<vi>(high_ + i) + (l >> 16);
                total = to_float(h) * 65536.0f + to_float(l & 0xffff);
            } else {
                total = to_float(load<vi>(partial_ + i));
            }
            store(out + i / 32 * out_stride + i % 32, total * load<vf>(scale + i % 32) + load<vf>(bias + i % 32));
        }
    }

  private:
    void move_on() {
        if (!moved_) memset(high_, 0, n_ * sizeof(int32_t)), memset(low_, 0, n_ * sizeof(int32_t));
        moved_ = true;
        for (int i = 0; i < n_; i += LANES) {
            const vi x = load<vi>(partial_ + i);
            store(high_ + i, load<vi>(high_ + i) + (x >> 16));
            store(low_ + i, load<vi>(low_ + i) + (x & 0xffff));
        }
        memset(partial_, 0, n_ * sizeof(int32_t));
    }

    const int n_;
    int64_t bound_ = 0;
    bool moved_ = false;
    alignas(64) int32_t partial_[MAX_ROWS * 32], high_[MAX_ROWS * 32], low_[MAX_ROWS * 32];
};

static void product(const void* prepared, int rows, int n_blocks, const void* columns, int width, const float* scale,
                    const float* bias, float* out, size_t out_stride) {
    alignas(64) char tables[GROUPS<int32_t> * TABLE_BYTES<int32_t>];
    Sums sums(rows);
    with_registers<int32_t>(width, [&](auto n) {
        for (int block = 0; block < n_blocks; block++) {
            const int32_t* f = block_at(const_cast<void*>(columns), block);
            add_block<int32_t, n>(f, prepared, block, rows, tables, sums.room_for(f[BLOCK_NUMBERS]));
        }
    });
    sums.write(scale, bias, out, out_stride);
}

}  // namespace HARMONIUM_ISA
