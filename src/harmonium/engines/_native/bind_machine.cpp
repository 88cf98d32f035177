// A machine: its parameters, its logits, samples and sweeps, and scores of rows. Its steps of training are in bind_training.cpp.
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <variant>

#include "arrays.hpp"

namespace harmonium {

static void require_machine(const Matrix<const float>& W, const Vector& b, const Vector& c) {
    require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0), "b and c must fit W");
}

static void replace(Machine& machine, const Matrix<const float>& W, const Vector& b, const Vector& c) {
    require(W.shape(0) == machine.n_hidden() && W.shape(1) == machine.n_visible(), "W must fit the machine");
    require_machine(W, b, c);
    machine.replace(strided(W), data(b), data(c));
}

static View<float, 2> matrix(const Machine& machine, const Tiles& tiles) {
    Output<float> out(machine.n_visible() * machine.n_hidden());
    tiles.write(out);
    return wrap(out, machine.n_visible(), machine.n_hidden());
}

static void set_weight_velocity(Machine& machine, const Floats& array) {
    require(array.shape(0) == machine.n_visible() && array.shape(1) == machine.n_hidden(), "the velocity must fit W");
    machine.weight_velocity().read({data(array), machine.n_hidden(), machine.n_visible(), 1, ptrdiff_t(machine.n_hidden())});
}

// One entry for each unit of a layer, in the machine's own memory.
template <float* (Machine::*entries)(), size_t (Machine::*n)() const>
static View<float, 1> of_layer(nb::handle self) {
    auto& machine = nb::cast<Machine&>(self);
    return {(machine.*entries)(), {(machine.*n)()}, self};
}

template <class T>
static bool holds(const Machine& machine, const Matrix<const T>& W, const Array<const T, 1>& b, const Array<const T, 1>& c) {
    if (W.shape(0) != machine.n_hidden() || W.shape(1) != machine.n_visible()) return false;
    if (b.shape(0) != W.shape(1) || c.shape(0) != W.shape(0)) return false;
    const Strided<T> weights = strided(W);
    const T *const of_v = data(b), *const of_h = data(c);
    nb::gil_scoped_release release;
    return machine.holds(weights, of_v, of_h);
}

template <class T>
static void write(const Machine& machine, const Matrix<T>& W) {
    require(W.shape(0) == machine.n_hidden() && W.shape(1) == machine.n_visible(), "W must fit the machine");
    T* const to = data(W);
    unlocked([&] { machine.write(to, ptrdiff_t(W.stride(0)), ptrdiff_t(W.stride(1))); });
}

// `states` are those of the other layer than the one that is told or drawn.
static void require_states(const Machine& machine, bool hidden, const Words& states) {
    require(states.shape(1) == words_for(hidden ? machine.n_visible() : machine.n_hidden()), "states must fit the layer");
}

template <bool hidden>
static View<float, 2> logits(const Machine& machine, const Words& states) {
    require_states(machine, hidden, states);
    const size_t n = hidden ? machine.n_hidden() : machine.n_visible();
    Output<float> out(states.shape(0) * n);
    unlocked([&] { machine.logits(hidden, bits(states), out); });
    return wrap(out, states.shape(0), n);
}

static View<float, 2> dense_logits_h(const Machine& machine, const Matrix<const float>& v) {
    require(v.shape(1) == machine.n_visible(), "v must fit the visible layer");
    Output<float> out(v.shape(0) * machine.n_hidden());
    unlocked([&] { machine.dense_logits_h(strided(v), out); });
    return wrap(out, v.shape(0), machine.n_hidden());
}

template <bool hidden>
static View<uint64_t, 2> sample(const Machine& machine, const Words& states, const KeyTuple& key, const PerRow& beta, const Table& offset) {
    require_states(machine, hidden, states);
    const size_t n = hidden ? machine.n_hidden() : machine.n_visible(), stride = words_for(n), rows = states.shape(0);
    const Affine argument = affine(beta, offset, rows, n);
    Output<uint64_t> out(rows * stride);
    unlocked([&] { machine.sample(hidden, bits(states), noise_key(key), argument, out, stride); });
    return wrap(out, rows, stride);
}

static View<uint64_t, 2> sweeps(const Machine& machine, const std::variant<Words, Floats>& v, const KeyTuple& key_h, const KeyTuple& key_v, size_t n,
                                const PerRow& beta_h, const Table& offset_h, const PerRow& beta_v, const Table& offset_v,
                                const std::optional<Words>& free) {
    const Words* states = std::get_if<Words>(&v);
    const Floats* reals = std::get_if<Floats>(&v);
    const size_t m = machine.n_visible(), rows = states ? states->shape(0) : reals->shape(0), stride = words_for(m);
    require(states ? states->shape(1) == stride : reals->shape(1) == m, "v must fit the visible layer");
    require(states || (n > 0 && !free), "a sweep from real numbers moves all units");
    require(!free || (free->shape(0) == rows && free->shape(1) == stride), "what is free must fit v");
    const Strided<float> real = reals ? rows_of(*reals) : Strided<float>{};
    const Affine of_h = affine(beta_h, offset_h, rows, machine.n_hidden()), of_v = affine(beta_v, offset_v, rows, m);
    Output<uint64_t> out(rows * stride), h(rows * words_for(machine.n_hidden()));
    unlocked([&] {
        machine.sweeps(states ? data(*states) : nullptr, reals ? &real : nullptr, out, h, rows, noise_key(key_h), noise_key(key_v), n, of_h, of_v,
                       data_or_null(free));
    });
    return wrap(out, rows, stride);
}

template <void (Machine::*score)(Bits, double*) const>
static View<double, 1> per_row(const Machine& machine, const Words& v) {
    require(v.shape(1) == words_for(machine.n_visible()), "v must fit the visible layer");
    Output<double> out(v.shape(0));
    unlocked([&] { (machine.*score)(bits(v), out); });
    return wrap(out, v.shape(0));
}

static View<double, 1> dense_free_energy(const Machine& machine, const Floats& v) {
    require(v.shape(1) == machine.n_visible(), "v must fit the visible layer");
    Output<double> out(v.shape(0));
    unlocked([&] { machine.free_energy(rows_of(v), out); });
    return wrap(out, v.shape(0));
}

void bind_machine(nb::module_& m) {
    nb::class_<Machine> machine(m, "Machine");
    machine
        .def("__init__",
             [](Machine* self, const Matrix<const float>& W, const Vector& b, const Vector& c) {
                 require_machine(W, b, c);
                 new (self) Machine(*chosen, strided(W), data(b), data(c));
             })
        .def("replace", &replace)
        .def("weights", [](Machine& self) { return matrix(self, self.weights()); })
        .def("weight_velocity", [](Machine& self) { return matrix(self, self.weight_velocity()); })
        .def("set_weight_velocity", &set_weight_velocity)
        .def_prop_ro("b", &of_layer<&Machine::b, &Machine::n_visible>)
        .def_prop_ro("c", &of_layer<&Machine::c, &Machine::n_hidden>)
        .def_prop_ro("b_velocity", &of_layer<&Machine::b_velocity, &Machine::n_visible>)
        .def_prop_ro("c_velocity", &of_layer<&Machine::c_velocity, &Machine::n_hidden>)
        .def_prop_ro("copies", &Machine::copies)
        .def("is_finite", &Machine::is_finite)
        .def("write_floats", &write<float>, nb::arg().noconvert())
        .def("write_doubles", &write<double>, nb::arg().noconvert())
        .def("holds_floats", &holds<float>)
        .def("holds_doubles", &holds<double>)
        .def("logits_h", &logits<true>)
        .def("logits_v", &logits<false>)
        .def("dense_logits_h", &dense_logits_h)
        .def("sample_h", &sample<true>, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none())
        .def("sample_v", &sample<false>, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none())
        .def("sweeps", &sweeps, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(),
             nb::arg().none(), nb::arg().none())
        .def("free_energy", &per_row<static_cast<void (Machine::*)(Bits, double*) const>(&Machine::free_energy)>)
        .def("dense_free_energy", &dense_free_energy)
        .def("pseudo_log_likelihood", &per_row<&Machine::pseudo_log_likelihood>);
    bind_training(machine);
}

}  // namespace harmonium
