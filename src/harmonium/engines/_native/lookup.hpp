// bits @ F by the method of four Russians, in exact integer arithmetic.
//
// F is held in fixed point: 24-bit integers with a power-of-two scale a column. Four rows of F have sixteen subset
// sums; a row of bits then needs one table entry, one addition, for every four of its columns that are not all off.
#pragma once

#include <utility>

#include "vec.hpp"

namespace HARMONIUM_ISA {

// The packed form of 32 columns of F: 64-row blocks of 64 x 32 integers, and the largest sum that some of a block's
// rows can have in a column, whatever its sign.
constexpr int BLOCK_NUMBERS = 64 * 32;
constexpr size_t PACKED_BYTES_PER_BLOCK = BLOCK_NUMBERS * sizeof(int32_t) + 64;
constexpr int MAX_ROWS = 128;

static int32_t* block_at(void* columns, int block) {
    return reinterpret_cast<int32_t*>(static_cast<char*>(columns) + block * PACKED_BYTES_PER_BLOCK);
}

// The sums of the positive and of all numbers of some columns: no subset of them sums up to more than `largest`. Without
// signs, as they may wrap around for weights that have outgrown their scale and will be packed again.
struct Bound {
    vu positive = {}, all = {};
    void add(vi x) {
        positive += (vu)(x & ~(x >> 31));
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

// Tables are made for eight groups of four rows at a time: 16 KiB, so that they stay in the first-level cache.
constexpr int GROUPS = 8, ENTRY_BYTES = 32 * sizeof(int32_t), TABLE_BYTES = 16 * ENTRY_BYTES;

// What rows of 32 bits have on, group by group: made once, and used for all columns of F.
struct alignas(64) Lists {
    uint16_t begin[GROUPS + 2];  // the rows with n groups that are not all off are begin[n], ..., begin[n + 1] - 1 of the next two
    uint16_t row[MAX_ROWS];
    uint16_t entry[MAX_ROWS][GROUPS];  // where their entries begin, in bytes
    uint32_t used;                     // a nibble of 1 for each group that some row needs
};

// With this few rows tables cost more than they save: F's own rows are added, and the bits are kept as they are.
constexpr int FEW_ROWS = 24;

static size_t prepared_bytes(int rows, int n_blocks) {
    return size_t(n_blocks) * (rows <= FEW_ROWS ? FEW_ROWS * sizeof(uint64_t) : 2 * sizeof(Lists));
}

static void list(const uint64_t* bits, size_t stride, int rows, int shift, Lists& lists) {
    // Nibbles that are 1 where the bits' nibbles are not 0, and how many: their sum collects in the highest one.
    const auto occupied = [](uint32_t x) {
        x |= x >> 1;
        return (x | x >> 2) & 0x11111111u;
    };
    const auto count = [](uint32_t nibbles) { return int(nibbles * 0x11111111u >> 28); };
    uint16_t next[GROUPS + 2] = {};
    lists.used = 0;
    for (int r = 0; r < rows; r++) {
        const uint32_t groups = occupied(uint32_t(bits[r * stride] >> shift));
        next[count(groups) + 1]++;
        lists.used |= groups;
    }
    for (int n = 0; n <= GROUPS; n++) next[n + 1] += next[n];
    memcpy(lists.begin, next, sizeof lists.begin);
    for (int r = 0; r < rows; r++) {
        const uint32_t word = uint32_t(bits[r * stride] >> shift);
        const int at = next[count(occupied(word))]++;
        uint16_t* entry = lists.entry[at];
        lists.row[at] = uint16_t(r);
        // Writes each and steps over those that are not all off: a branch would be guessed wrong.
        for (int g = 0; g < GROUPS; g++) {
            const uint32_t nibble = word >> 4 * g & 15;
            *entry = uint16_t(g * TABLE_BYTES + nibble * ENTRY_BYTES);
            entry += nibble != 0;
        }
    }
}

static void prepare(const uint64_t* bits, size_t stride, int rows, int, int first, int last, void* prepared) {
    for (int block = first; block < last; block++) {
        if (rows <= FEW_ROWS) {
            uint64_t* words = static_cast<uint64_t*>(prepared) + size_t(block) * FEW_ROWS;
            for (int r = 0; r < rows; r++) words[r] = bits[r * stride + block];
            continue;
        }
        Lists* lists = static_cast<Lists*>(prepared) + size_t(block) * 2;
        for (int half = 0; half < 2; half++) list(bits + block, stride, rows, 32 * half, lists[half]);
    }
}

static inline void build_tables(const int32_t* f, uint32_t used, char* tables) {
    for (; used; used >>= 4, f += 4 * 32, tables += TABLE_BYTES)
        for (int part = 0; used & 1 && part < 32; part += LANES) {
            vi t[16] = {};
            for (int i = 0; i < 4; i++) {
                const vi x = load<vi>(f + i * 32 + part);
                for (int s = 0; s < 1 << i; s++) t[s | 1 << i] = t[s] + x;
            }
            for (int s = 0; s < 16; s++) store(tables + s * ENTRY_BYTES + part * 4, t[s]);
        }
}

constexpr int REGISTERS = 32 / LANES;  // of a row

// For the rows with LENGTH entries: a constant, as loops of unknown length cost more than the additions in them.
template <int LENGTH>
static inline void add_entries(const char* tables, const Lists& lists, int32_t* sums) {
    for (int i = lists.begin[LENGTH]; i < lists.begin[LENGTH + 1]; i++) {
        int32_t* to = sums + lists.row[i] * 32;
        vi x[REGISTERS];
        for (int p = 0; p < REGISTERS; p++) x[p] = load<vi>(to + p * LANES);
#pragma GCC unroll 8
        for (int g = 0; g < LENGTH; g++) {
            const char* entry = tables + lists.entry[i][g];
            for (int p = 0; p < REGISTERS; p++) x[p] += load<vi>(entry + p * VECTOR_BYTES);
        }
        for (int p = 0; p < REGISTERS; p++) store(to + p * LANES, x[p]);
    }
}
template <int... LENGTH>
static inline void add_lists(const char* tables, const Lists& lists, int32_t* sums, std::integer_sequence<int, LENGTH...>) {
    (add_entries<LENGTH + 1>(tables, lists, sums), ...);
}

static inline void add_rows(const int32_t* f, const uint64_t* words, int rows, int32_t* sums) {
    for (int r = 0; r < rows; r++, sums += 32) {
        vi x[REGISTERS];
        for (int p = 0; p < REGISTERS; p++) x[p] = load<vi>(sums + p * LANES);
        for (uint64_t left = words[r]; left; left &= left - 1)
            for (int p = 0; p < REGISTERS; p++) x[p] += load<vi>(f + __builtin_ctzll(left) * 32 + p * LANES);
        for (int p = 0; p < REGISTERS; p++) store(sums + p * LANES, x[p]);
    }
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

static void product(const void* prepared, int rows, int n_blocks, const void* columns, const float* scale, const float* bias,
                    float* out, size_t out_stride) {
    alignas(64) char tables[GROUPS * TABLE_BYTES];
    Sums sums(rows);
    for (int block = 0; block < n_blocks; block++) {
        const int32_t* f = block_at(const_cast<void*>(columns), block);
        int32_t* to = sums.room_for(f[BLOCK_NUMBERS]);
        if (rows <= FEW_ROWS) {
            add_rows(f, static_cast<const uint64_t*>(prepared) + size_t(block) * FEW_ROWS, rows, to);
            continue;
        }
        const Lists* lists = static_cast<const Lists*>(prepared) + size_t(block) * 2;
        for (int half = 0; half < 2; half++) {
            build_tables(f + half * 32 * 32, lists[half].used, tables);
            add_lists(tables, lists[half], to, std::make_integer_sequence<int, GROUPS>());
        }
    }
    sums.write(scale, bias, out, out_stride);
}

}  // namespace HARMONIUM_ISA
