// Arrays of Python as the engine reads them, checked, and arrays that it makes: what the files bind_*.cpp are written with.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include "machine.hpp"
#include "pool.hpp"

namespace harmonium {

namespace nb = nanobind;

template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::device::cpu>;  // in any order
template <class T, int N>
using View = nb::ndarray<nb::numpy, T, nb::ndim<N>>;
using Words = Array<const uint64_t, 2>;
using Floats = Array<const float, 2>;
using Vector = Array<const float, 1>;
using PerRow = std::optional<Vector>;
using Table = std::optional<Floats>;
using KeyTuple = std::tuple<uint64_t, uint32_t, uint32_t, uint32_t>;  // seed, stream, step, row

// What the calls from now on run on.
extern const Kernels* chosen;

static inline void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

template <class A>
static auto* data(const A& array) {
    auto* const first = array.data();
    require(reinterpret_cast<uintptr_t>(first) % alignof(std::remove_pointer_t<decltype(first)>) == 0, "arrays must be aligned");
    return first;
}
template <class A>
static auto* data_or_null(const std::optional<A>& array) {
    return array ? data(*array) : nullptr;
}
static inline size_t words_for(size_t n) { return (n + 63) / 64; }
static inline Bits bits(const Words& words) { return {data(words), words.shape(0), words.shape(1)}; }
template <class T>
static Strided<T> strided(const Matrix<const T>& x) {
    return {data(x), x.shape(0), x.shape(1), ptrdiff_t(x.stride(0)), ptrdiff_t(x.stride(1))};
}
static inline Strided<float> rows_of(const Floats& x) { return {data(x), x.shape(0), x.shape(1), ptrdiff_t(x.shape(1)), 1}; }

static inline NoiseKey noise_key(const KeyTuple& key) {
    const auto [seed, stream, step, row] = key;
    return {uint32_t(seed), uint32_t(seed >> 32), step, stream, row};
}

static inline size_t rows_of_group(size_t rows, size_t groups) {
    require(groups > 0 && rows % groups == 0, "beta and offset must have an entry for each of several groups of as many rows");
    return std::max<size_t>(rows / groups, 1);
}
static inline Affine affine(const PerRow& beta, const Table& offset, size_t rows, size_t n) {
    Affine result = {nullptr, nullptr, 1, 1, n};
    if (beta) result.beta = data(*beta), result.rows_of_beta = rows_of_group(rows, beta->shape(0));
    if (offset) {
        require(offset->shape(1) == n, "offset must fit the layer");
        result.offset = data(*offset), result.rows_of_offset = rows_of_group(rows, offset->shape(0));
    }
    return result;
}

// Memory for a result, until `wrap` makes an array of it.
template <class T>
class Output {
  public:
    explicit Output(size_t n) : data_(static_cast<T*>(pool().take(n * sizeof(T)))) {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output() {
        if (data_) pool().give_back(data_);
    }
    operator T*() const { return data_; }
    T* release() { return std::exchange(data_, nullptr); }

  private:
    T* data_;
};
static inline nb::capsule owner(void* data) {
    return nb::capsule(data, [](void* p) noexcept { pool().give_back(p); });
}
template <class T>
static View<T, 2> wrap(Output<T>& out, size_t rows, size_t columns) {
    T* data = out.release();
    return {data, {rows, columns}, owner(data)};
}
template <class T>
static View<T, 1> wrap(Output<T>& out, size_t n) {
    T* data = out.release();
    return {data, {n}, owner(data)};
}

// Runs while other threads of Python do.
template <class Compute>
static void unlocked(Compute compute) {
    nb::gil_scoped_release release;
    compute();
}

// Each adds its part of the module, or of its class.
void bind_machine(nb::module_& m);
void bind_training(nb::class_<Machine>& machine);
void bind_rows(nb::module_& m);
void bind_functions(nb::module_& m);

}  // namespace harmonium
