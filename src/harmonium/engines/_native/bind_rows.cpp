// Rows of data and of states: from arrays of numbers to bits, back, and with a vector.
#include "arrays.hpp"

namespace harmonium {

static View<uint64_t, 2> encoded(const Array<const uint8_t, 2>& X) {
    const size_t stride = words_for(X.shape(1));
    Output<uint64_t> out(X.shape(0) * stride);
    unlocked([&] { encode(data(X), X.shape(0), X.shape(1), out, stride); });
    return wrap(out, X.shape(0), stride);
}

static View<uint8_t, 2> decoded(const Words& words, size_t n) {
    require(words.shape(1) == words_for(n), "n must fit the states");
    Output<uint8_t> out(words.shape(0) * n);
    unlocked([&] { decode(bits(words), n, out); });
    return wrap(out, words.shape(0), n);
}

// States, or None for an array that holds other numbers than 0 and 1.
template <class T>
static nb::object states_if_binary(const Array<const T, 2>& X) {
    const size_t stride = words_for(X.shape(1));
    Output<uint64_t> out(X.shape(0) * stride);
    bool binary;
    unlocked([&] { binary = encode_binary(data(X), X.shape(0), X.shape(1), out, stride); });
    return binary ? nb::cast(wrap(out, X.shape(0), stride)) : nb::none();
}

// States of an array of 0 and 1, floats of one within [0, 1], or None.
template <class T>
static nb::object unit(const Array<const T, 2>& X) {
    nb::object states = states_if_binary(X);
    if (!states.is_none()) return states;
    Output<float> out(X.shape(0) * X.shape(1));
    bool sound;
    unlocked([&] { sound = floats_of_unit(data(X), X.shape(0), X.shape(1), static_cast<float*>(out)); });
    return sound ? nb::cast(wrap(out, X.shape(0), X.shape(1))) : nb::none();
}

static View<double, 1> bits_dot(const Words& words, const Vector& x) {
    require(words.shape(1) == words_for(x.shape(0)), "x must fit the states");
    Output<double> out(words.shape(0));
    unlocked([&] { dot(bits(words), x.shape(0), data(x), out); });
    return wrap(out, words.shape(0));
}

static View<double, 1> dense_dot(const Floats& v, const Vector& x) {
    require(v.shape(1) == x.shape(0), "x must fit v");
    Output<double> out(v.shape(0));
    unlocked([&] { dot(data(v), v.shape(0), v.shape(1), data(x), out); });
    return wrap(out, v.shape(0));
}

void bind_rows(nb::module_& m) {
    m.def("encode", &encoded);
    m.def("decode", &decoded);
    m.def("states_of_floats", &states_if_binary<float>);
    m.def("states_of_doubles", &states_if_binary<double>);
    m.def("unit_of_floats", &unit<float>);
    m.def("unit_of_doubles", &unit<double>);
    m.def("dot", &bits_dot);
    m.def("dense_dot", &dense_dot);
}

}  // namespace harmonium
