// Sums of rows of F that bits choose, by the method of four Russians.
//
// Four rows of F have sixteen subset sums; a row of bits then needs one table entry, one addition, for every four of its
// columns that are not all off. F's numbers are of type T: 32 columns of int32_t in their order, or of int16_t in pairs (vec.hpp).
#pragma once

#include <utility>

#include "vec.hpp"

namespace HARMONIUM_ISA {

constexpr int MAX_ROWS = 128, BLOCK_NUMBERS = 64 * 32;

// Tables are made for as many groups of four rows at a time as fill 16 KiB, so that they stay in the first-level cache.
template <class T>
constexpr int GROUPS = 32 / sizeof(T);
template <class T>
constexpr int LISTS = 16 / GROUPS<T>;  // of a block
template <class T>
constexpr int ENTRY_BYTES = 32 * sizeof(T);
template <class T>
constexpr int TABLE_BYTES = 16 * ENTRY_BYTES<T>;

// What rows have on in some groups: made once, and used for all columns of F.
template <class T>
struct alignas(64) Lists {
    uint16_t begin[GROUPS<T> + 2];  // the rows with n groups that are not all off are begin[n], ..., begin[n + 1] - 1 of the next two
    uint16_t row[MAX_ROWS];
    uint16_t entry[MAX_ROWS][GROUPS<T>];  // where their entries begin, in bytes
    uint64_t used;                        // a nibble of 1 for each group that some row needs
};

// With this few rows tables cost more than they save: F's own rows are added, and the bits are kept as they are.
constexpr int FEW_ROWS = 24;

template <class T>
static size_t prepared_bytes(int rows, int n_blocks) {
    return size_t(n_blocks) * (rows <= FEW_ROWS ? FEW_ROWS * sizeof(uint64_t) : LISTS<T> * sizeof(Lists<T>));
}

// Where the entries begin of those of eight groups, from group g on, that are not all off. Writes eight, and returns how
// many there are.
#if defined(__SSSE3__)
struct ToFront {  // for each mask, how to move the 16-bit numbers that it names to the front
    uint8_t bytes[256][16] = {};
    constexpr ToFront() {
        for (int mask = 0; mask < 256; mask++)
            for (int from = 0, to = 0; from < 8; from++)
                if (mask >> from & 1) bytes[mask][to] = uint8_t(2 * from), bytes[mask][to + 1] = uint8_t(2 * from + 1), to += 2;
    }
};
alignas(64) static constexpr ToFront to_front;
template <class T>
static inline int list_eight(uint32_t groups, int g, uint16_t* entry) {
    const __m128i zero = _mm_setzero_si128(), low = _mm_set1_epi8(15), x = _mm_cvtsi32_si128(int(groups));
    const __m128i nibbles = _mm_unpacklo_epi8(_mm_and_si128(x, low), _mm_and_si128(_mm_srli_epi16(x, 4), low));
    const __m128i within = _mm_mullo_epi16(_mm_unpacklo_epi8(nibbles, zero), _mm_set1_epi16(ENTRY_BYTES<T>));
    const __m128i numbers = _mm_add_epi16(_mm_set1_epi16(short(g)), _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));
    const __m128i begin = _mm_add_epi16(within, _mm_mullo_epi16(numbers, _mm_set1_epi16(TABLE_BYTES<T>)));
    const int on = ~_mm_movemask_epi8(_mm_cmpeq_epi8(nibbles, zero)) & 255;
    const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(to_front.bytes[on]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(entry), _mm_shuffle_epi8(begin, order));
    return __builtin_popcount(on);
}
#else
template <class T>
static inline int list_eight(uint32_t groups, int g, uint16_t* entry) {
    uint16_t* const first = entry;
    // Writes each and steps over those that are all off: a branch would be guessed wrong.
    for (int i = 0; i < 8; i++) {
        const uint32_t nibble = groups >> 4 * i & 15;
        *entry = uint16_t((g + i) * TABLE_BYTES<T> + nibble * ENTRY_BYTES<T>);
        entry += nibble != 0;
    }
    return int(entry - first);
}
#endif

template <class T>
static void list(const uint64_t* bits, size_t stride, int rows, int part, Lists<T>& lists) {
    constexpr int N = GROUPS<T>;
    const auto groups_of = [=](int r) { return bits[r * stride] >> 4 * N * part & ~uint64_t(0) >> (64 - 4 * N); };
    // Nibbles that are 1 where the bits' nibbles are not 0, and how many.
    const auto occupied = [](uint64_t x) {
        x |= x >> 1;
        return (x | x >> 2) & 0x1111111111111111u;
    };
    const auto count = [](uint64_t nibbles) {
        return int(((nibbles + (nibbles >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
    };
    uint16_t next[N + 2] = {};
    lists.used = 0;
    for (int r = 0; r < rows; r++) {
        const uint64_t groups = occupied(groups_of(r));
        next[count(groups) + 1]++;
        lists.used |= groups;
    }
    for (int n = 0; n <= N; n++) next[n + 1] += next[n];
    memcpy(lists.begin, next, sizeof lists.begin);
    for (int r = 0; r < rows; r++) {
        const uint64_t groups = groups_of(r);
        const int at = next[count(occupied(groups))]++;
        uint16_t* entry = lists.entry[at];
        lists.row[at] = uint16_t(r);
        for (int g = 0; g < N; g += 8) entry += list_eight<T>(uint32_t(groups >> 4 * g), g, entry);
    }
}

template <class T>
static void prepare(const uint64_t* bits, size_t stride, int rows, int, int first, int last, void* prepared) {
    for (int block = first; block < last; block++) {
        if (rows <= FEW_ROWS) {
            uint64_t* words = static_cast<uint64_t*>(prepared) + size_t(block) * FEW_ROWS;
            for (int r = 0; r < rows; r++) words[r] = bits[r * stride + block];
            continue;
        }
        Lists<T>* lists = static_cast<Lists<T>*>(prepared) + size_t(block) * LISTS<T>;
        for (int part = 0; part < LISTS<T>; part++) list(bits + block, stride, rows, part, lists[part]);
    }
}

// One vector of numbers T, and the registers of a row of 32 of them. Where N of these are spoken of, they are the first.
template <class T>
struct Vector;
template <>
struct Vector<int32_t> { typedef vi type; };
template <>
struct Vector<int16_t> { typedef vh type; };
template <class T>
constexpr int REGISTERS = ENTRY_BYTES<T> / VECTOR_BYTES;

// Calls use(N) for columns of which only the first `width` are needed: all registers of a row, or half or a quarter of them.
template <class T, class Use>
static inline void with_registers(int width, Use use) {
    constexpr int ALL = REGISTERS<T>;
    if constexpr (ALL % 4 == 0)
        if (width <= 8) return use(std::integral_constant<int, ALL / 4>());
    if constexpr (ALL % 2 == 0)
        if (width <= 16) return use(std::integral_constant<int, ALL / 2>());
    use(std::integral_constant<int, ALL>());
}

template <int N>
static inline void add_onto(int32_t* sums, const vi (&x)[N]) {
    for (int p = 0; p < N; p++) store(sums + p * LANES, load<vi>(sums + p * LANES) + x[p]);
}
template <int N>
static inline void add_onto(int32_t* sums, const vh (&x)[N]) {
    for (int p = 0; p < N; p++, sums += 2 * LANES) {
        store(sums, load<vi>(sums) + first_of_pairs(x[p]));
        store(sums + LANES, load<vi>(sums + LANES) + second_of_pairs(x[p]));
    }
}

template <class T, int N>
static inline void build_tables(const T* f, uint64_t used, char* tables) {
    typedef typename Vector<T>::type V;
    for (; used; used >>= 4, f += 4 * 32, tables += TABLE_BYTES<T>) {
        // The same rows of the next block, which may have to come from far away while this one's entries are added.
        for (int line = 0; line < 4 * ENTRY_BYTES<T>; line += 64) __builtin_prefetch(reinterpret_cast<const char*>(f + BLOCK_NUMBERS) + line);
        for (int p = 0; used & 1 && p < N; p++) {
            V t[16] = {};  // the first of which is in no list
            for (int i = 0; i < 4; i++) {
                const V x = load<V>(reinterpret_cast<const char*>(f + i * 32) + p * VECTOR_BYTES);
                for (int s = 0; s < 1 << i; s++) t[s | 1 << i] = t[s] + x;
            }
            for (int s = 1; s < 16; s++) store(tables + s * ENTRY_BYTES<T> + p * VECTOR_BYTES, t[s]);
        }
    }
}

// For the rows with LENGTH entries: a constant, as loops of unknown length cost more than the additions in them.
template <class T, int N, int LENGTH>
static inline void add_entries(const char* tables, const Lists<T>& lists, int32_t* sums) {
    typedef typename Vector<T>::type V;
    for (int i = lists.begin[LENGTH]; i < lists.begin[LENGTH + 1]; i++) {
        V x[N] = {};
        uint64_t four = 0;
#pragma GCC unroll 16
        for (int g = 0; g < LENGTH; g++, four >>= 16) {
            if (g % 4 == 0) memcpy(&four, &lists.entry[i][g], sizeof four);
            const char* entry = tables + uint16_t(four);
            for (int p = 0; p < N; p++) x[p] += load<V>(entry + p * VECTOR_BYTES);
        }
        add_onto(sums + lists.row[i] * 32, x);
    }
}
template <class T, int N, int... LENGTH>
static inline void add_lists(const char* tables, const Lists<T>& lists, int32_t* sums, std::integer_sequence<int, LENGTH...>) {
    (add_entries<T, N, LENGTH + 1>(tables, lists, sums), ...);
}

template <class T, int N>
static inline void add_rows(const T* f, const uint64_t* words, int rows, int32_t* sums) {
    typedef typename Vector<T>::type V;
    for (int r = 0; r < rows; r++, sums += 32) {
        V x[N] = {};
        for (uint64_t left = words[r]; left; left &= left - 1) {
            const char* row = reinterpret_cast<const char*>(f + __builtin_ctzll(left) * 32);
            for (int p = 0; p < N; p++) x[p] += load<V>(row + p * VECTOR_BYTES);
        }
        add_onto(sums, x);
    }
}

// Adds onto `sums` (rows x 32, N registers of each) those of one block of 64 rows of F; `tables` has room for 16 KiB. Not inlined: with the
// callers' variables GCC has too few registers.
template <class T, int N>
__attribute__((noinline)) static void add_block(const T* f, const void* prepared, int block, int rows, char* tables, int32_t* sums) {
    if (rows <= FEW_ROWS) {
        add_rows<T, N>(f, static_cast<const uint64_t*>(prepared) + size_t(block) * FEW_ROWS, rows, sums);
        return;
    }
    const Lists<T>* lists = static_cast<const Lists<T>*>(prepared) + size_t(block) * LISTS<T>;
    for (int part = 0; part < LISTS<T>; part++) {
        build_tables<T, N>(f + part * GROUPS<T> * 4 * 32, lists[part].used, tables);
        add_lists<T, N>(tables, lists[part], sums, std::make_integer_sequence<int, GROUPS<T>>());
    }
}

}  // namespace HARMONIUM_ISA
