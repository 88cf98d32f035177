// The Python face of the native engine: arrays in, arrays out, no mathematics.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "machine.hpp"

namespace nb = nanobind;
using namespace harmonium;

template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using View = nb::ndarray<nb::numpy, T, nb::ndim<N>>;
using Words = Array<const uint64_t, 2>;
using Floats = Array<const float, 2>;
using Weights = nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>;  // (n_hidden, n_visible), in any order
using PerRow = std::optional<Array<const float, 1>>;
using KeyTuple = std::tuple<uint64_t, uint32_t, uint32_t, uint32_t>;  // seed, stream, step, row

static void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}
template <class A>
static auto* data(const A& array) {
    auto* const first = array.data();
    require(reinterpret_cast<uintptr_t>(first) % alignof(std::remove_pointer_t<decltype(first)>) == 0, "arrays must be aligned");
    return first;
}

static const Kernels* chosen = find_kernels(nullptr);

static Bits bits(const Words& words) { return {data(words), words.shape(0), words.shape(1)}; }
static NoiseKey noise_key(const KeyTuple& key) {
    const auto [seed, stream, step, row] = key;
    return {uint32_t(seed), uint32_t(seed >> 32), step, stream, row};
}
using Table = std::optional<Floats>;

static size_t rows_of_group(size_t rows, size_t groups) {
    require(groups > 0 && rows % groups == 0, "beta and offset must have an entry for each of several groups of as many rows");
    return std::max<size_t>(rows / groups, 1);
}
static Affine affine(const PerRow& beta, const Table& offset, size_t rows, size_t n) {
    Affine result = {nullptr, nullptr, 1, 1, n};
    if (beta) result.beta = data(*beta), result.rows_of_beta = rows_of_group(rows, beta->shape(0));
    if (offset) {
        require(offset->shape(1) == n, "offset must fit the layer");
        result.offset = data(*offset), result.rows_of_offset = rows_of_group(rows, offset->shape(0));
    }
    return result;
}
template <class T>
static Strided<T> strided(const nb::ndarray<const T, nb::ndim<2>, nb::device::cpu>& x) {
    return {data(x), x.shape(0), x.shape(1), ptrdiff_t(x.stride(0)), ptrdiff_t(x.stride(1))};
}
static size_t words_for(size_t n) { return (n + 63) / 64; }

// Memory of arrays that have been let go, for the next array of the same size: a step of training makes the same few
// arrays again and again, and fresh pages from the system cost as much as filling them.
class Pool {
  public:
    void* take(size_t bytes) {
        bytes = std::max<size_t>(bytes, 64);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            for (auto it = free_.rbegin(); it != free_.rend(); ++it)
                if (it->bytes == bytes) {
                    void* data = it->data;
                    free_.erase(std::next(it).base());
                    return data;
                }
        }
        char* block = static_cast<char*>(std::aligned_alloc(64, (bytes + HEADER + 63) / 64 * 64));
        if (!block) throw std::bad_alloc();
        *reinterpret_cast<size_t*>(block) = bytes;
        return block + HEADER;
    }
    void give_back(void* data) noexcept {
        char* block = static_cast<char*>(data) - HEADER;
        std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back({*reinterpret_cast<size_t*>(block), data});
        if (free_.size() > KEPT || free_.back().bytes > LARGEST) {
            const auto victim = free_.back().bytes > LARGEST ? std::prev(free_.end()) : free_.begin();
            std::free(static_cast<char*>(victim->data) - HEADER);
            free_.erase(victim);
        }
    }

    // Held over a fork, which must not take place while another thread holds it: the new process would wait for ever.
    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }

  private:
    static constexpr size_t HEADER = 64, KEPT = 16, LARGEST = 4 << 20;
    struct Block {
        size_t bytes;
        void* data;
    };
    std::mutex mutex_;
    std::vector<Block> free_;
};
static Pool& pool() {
    static Pool* const instance = new Pool;  // outlives every array
    return *instance;
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
static nb::capsule owner(void* data) {
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

static View<float, 2> matrix(const Machine& machine, const Tiles& tiles) {
    Output<float> out(machine.n_visible() * machine.n_hidden());
    tiles.write(out);
    return wrap(out, machine.n_visible(), machine.n_hidden());
}

static View<float, 2> logits(const Machine& machine, bool hidden, Words states) {
    const size_t n = hidden ? machine.n_hidden() : machine.n_visible();
    require(states.shape(1) == words_for(hidden ? machine.n_visible() : machine.n_hidden()), "states must fit the layer");
    Output<float> out(states.shape(0) * n);
    {
        nb::gil_scoped_release release;
        machine.logits(hidden, bits(states), out);
    }
    return wrap(out, states.shape(0), n);
}

static View<float, 2> dense_logits_h(const Machine& machine, const nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>& v) {
    require(v.shape(1) == machine.n_visible(), "v must fit the visible layer");
    Output<float> out(v.shape(0) * machine.n_hidden());
    {
        nb::gil_scoped_release release;
        machine.dense_logits_h(strided(v), out);
    }
    return wrap(out, v.shape(0), machine.n_hidden());
}

template <class T>
static View<T, 2> product(const nb::ndarray<const T, nb::ndim<2>, nb::device::cpu>& x, const Array<const T, 2>& F) {
    require(x.shape(1) == F.shape(0), "the right side must have as many rows as the left side has columns");
    Output<T> out(x.shape(0) * F.shape(1));
    {
        nb::gil_scoped_release release;
        matmul(*chosen, strided(x), data(F), F.shape(1), static_cast<T*>(out));
    }
    return wrap(out, x.shape(0), F.shape(1));
}

static View<double, 1> map(Elementwise function, const Array<const double, 1>& x) {
    Output<double> out(x.shape(0));
    {
        nb::gil_scoped_release release;
        elementwise(function, data(x), x.shape(0), out);
    }
    return wrap(out, x.shape(0));
}

// States, or None for an array that holds other numbers than 0 and 1.
template <class T>
static nb::object states_if_binary(const Array<const T, 2>& X) {
    const size_t stride = words_for(X.shape(1));
    Output<uint64_t> out(X.shape(0) * stride);
    bool binary;
    {
        nb::gil_scoped_release release;
        binary = encode_binary(data(X), X.shape(0), X.shape(1), out, stride);
    }
    return binary ? nb::cast(wrap(out, X.shape(0), stride)) : nb::none();
}

// States of an array of 0 and 1, floats of one within [0, 1], or None.
template <class T>
static nb::object unit(const Array<const T, 2>& X) {
    nb::object states = states_if_binary(X);
    if (!states.is_none()) return states;
    Output<float> out(X.shape(0) * X.shape(1));
    bool sound;
    {
        nb::gil_scoped_release release;
        sound = floats_of_unit(data(X), X.shape(0), X.shape(1), static_cast<float*>(out));
    }
    return sound ? nb::cast(wrap(out, X.shape(0), X.shape(1))) : nb::none();
}

static View<uint64_t, 2> sample(const Machine& machine, bool hidden, Words states, KeyTuple key, PerRow beta, Table offset) {
    const size_t n = hidden ? machine.n_hidden() : machine.n_visible(), stride = words_for(n), rows = states.shape(0);
    require(states.shape(1) == words_for(hidden ? machine.n_visible() : machine.n_hidden()), "states must fit the layer");
    const Affine argument = affine(beta, offset, rows, n);
    Output<uint64_t> out(rows * stride);
    {
        nb::gil_scoped_release release;
        machine.sample(hidden, bits(states), noise_key(key), argument, out, stride);
    }
    return wrap(out, rows, stride);
}

using Mask = std::optional<Words>;

static View<uint64_t, 2> sweeps(const Machine& machine, std::variant<Words, Floats> v, KeyTuple key_h, KeyTuple key_v, size_t n, PerRow beta_h, Table offset_h,
                                PerRow beta_v, Table offset_v, Mask free) {
    const Words* states = std::get_if<Words>(&v);
    const Floats* reals = std::get_if<Floats>(&v);
    const size_t m = machine.n_visible(), rows = states ? states->shape(0) : reals->shape(0), stride = words_for(m);
    require(states ? states->shape(1) == stride : reals->shape(1) == m, "v must fit the visible layer");
    require(states || (n > 0 && !free), "a sweep from real numbers moves all units");
    Strided<float> real = {};
    if (reals) real = {data(*reals), rows, m, ptrdiff_t(m), 1};
    require(!free || (free->shape(0) == rows && free->shape(1) == stride), "what is free must fit v");
    const Affine of_h = affine(beta_h, offset_h, rows, machine.n_hidden()), of_v = affine(beta_v, offset_v, rows, machine.n_visible());
    Output<uint64_t> out(rows * stride), h(rows * words_for(machine.n_hidden()));
    {
        nb::gil_scoped_release release;
        machine.sweeps(states ? data(*states) : nullptr, reals ? &real : nullptr, out, h, rows, noise_key(key_h), noise_key(key_v), n, of_h, of_v, free ? data(*free) : nullptr);
    }
    return wrap(out, rows, stride);
}

using Numbers = std::optional<Array<const int64_t, 2>>;

// Steps of contrastive divergence, of a batch or, with numbers of rows, (steps, rows), of data: the last chains' v and mean_h;
// logits and h of those that persist, and the running mean, or None for each.
static nb::tuple contrasts(Machine& machine, std::variant<Words, Floats> batch, Numbers numbers, PerRow weights, Mask start, KeyTuple key,
                           KeyTuple key_h, KeyTuple key_v, size_t n_sweeps, const std::vector<std::tuple<float, float, float>>& rates,
                           PerRow centre_v, PerRow centre_h, float share) {
    const Words* states = std::get_if<Words>(&batch);
    const Floats* reals = std::get_if<Floats>(&batch);
    const size_t m = machine.n_visible(), n = machine.n_hidden(), n_data = states ? states->shape(0) : reals->shape(0);
    const size_t rows = numbers ? numbers->shape(1) : n_data, n_chains = start ? start->shape(0) : rows;
    require(states ? states->shape(1) == words_for(m) : reals->shape(1) == m, "v must fit the visible layer");
    require(states || !centre_v, "steps of real data are not centred here");
    require(numbers ? numbers->shape(0) == rates.size() : rates.size() == 1, "each step has rates and rows");
    const auto pointer = [](const auto& array) { return array ? data(*array) : nullptr; };
    const int64_t* first = pointer(numbers);
    for (size_t i = 0; numbers && i < numbers->size(); i++)
        require(first[i] >= 0 && size_t(first[i]) < n_data, "numbers of rows must be those of v");
    require(!weights || weights->shape(0) == rows, "weights must have one entry a row");
    require(!start || start->shape(1) == words_for(n), "h must fit the hidden layer");
    require(n_sweeps > 0, "v is drawn once or more");
    require(!centre_v || centre_v->shape(0) == m, "the offsets must fit the layers");
    require(!centre_h || (centre_v && centre_h->shape(0) == n), "the offsets must fit the layers");
    Output<uint64_t> v(n_chains * words_for(m)), h(start ? n_chains * words_for(n) : 0);
    Output<float> mean(n_chains * n), logits(start ? n_chains * n : 0), centre(centre_v ? n : 0);
    Strided<float> real = {};
    if (reals) real = {data(*reals), n_data, m, ptrdiff_t(m), 1};
    const Bits of_batch = {states ? data(*states) : nullptr, rows, words_for(m)};
    const Machine::Contrast step = {of_batch, reals ? &real : nullptr, pointer(weights), pointer(start), n_chains, n_sweeps, noise_key(key), noise_key(key_h),
                                    noise_key(key_v), pointer(centre_v), pointer(centre_h), share, v, mean,
                                    start ? static_cast<float*>(logits) : nullptr, h, centre};
    std::vector<Rates> of_steps;
    for (const auto& [rate, momentum, decay] : rates) of_steps.push_back({rate, momentum, decay});
    {
        nb::gil_scoped_release release;
        machine.contrasts(step, first, of_steps);
    }
    const auto or_none = [](bool exists, auto make) { return exists ? nb::cast(make()) : nb::none(); };
    return nb::make_tuple(wrap(v, n_chains, words_for(m)), wrap(mean, n_chains, n),
                          or_none(bool(start), [&] { return wrap(logits, n_chains, n); }),
                          or_none(bool(start), [&] { return wrap(h, n_chains, words_for(n)); }),
                          or_none(bool(centre_v), [&] { return wrap(centre, n); }));
}

static Side side(const Machine& machine, const Words& v, const Floats& mean_h, const PerRow& weights) {
    require(v.shape(1) == words_for(machine.n_visible()), "v must fit the visible layer");
    require(mean_h.shape(0) == v.shape(0) && mean_h.shape(1) == machine.n_hidden(), "mean_h must fit v and the hidden layer");
    require(!weights || weights->shape(0) == v.shape(0), "weights must have one entry a row");
    return {bits(v), data(mean_h), weights ? data(*weights) : nullptr, nullptr};
}

template <void (Machine::*function)(Bits, double*) const>
static View<double, 1> per_row(const Machine& machine, Words v) {
    require(v.shape(1) == words_for(machine.n_visible()), "v must fit the visible layer");
    Output<double> out(v.shape(0));
    {
        nb::gil_scoped_release release;
        (machine.*function)(bits(v), out);
    }
    return wrap(out, v.shape(0));
}

template <class T>
static bool holds(const Machine& machine, const nb::ndarray<const T, nb::ndim<2>, nb::device::cpu>& W, const Array<const T, 1>& b,
                  const Array<const T, 1>& c) {
    if (W.shape(0) != machine.n_hidden() || W.shape(1) != machine.n_visible()) return false;
    if (b.shape(0) != W.shape(1) || c.shape(0) != W.shape(0)) return false;
    const Strided<T> weights = strided(W);
    const T *const of_v = data(b), *const of_h = data(c);
    nb::gil_scoped_release release;
    return machine.holds(weights, of_v, of_h);
}

template <class T>
static void write(const Machine& machine, const nb::ndarray<T, nb::ndim<2>, nb::device::cpu>& W) {
    require(W.shape(0) == machine.n_hidden() && W.shape(1) == machine.n_visible(), "W must fit the machine");
    T* const to = data(W);
    nb::gil_scoped_release release;
    machine.write(to, ptrdiff_t(W.stride(0)), ptrdiff_t(W.stride(1)));
}

NB_MODULE(_kernels, m) {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork([] { pool().lock(), lock_packing(); }, [] { unlock_packing(), pool().unlock(); },
                   [] {
                       unlock_packing(), pool().unlock();
                       stay_on_one_thread();
                   });
#endif
    nb::class_<Machine>(m, "Machine")
        .def("__init__",
             [](Machine* self, Weights W, Array<const float, 1> b, Array<const float, 1> c) {
                 require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0), "b and c must fit W");
                 new (self) Machine(*chosen, strided(W), data(b), data(c));
             })
        .def("replace",
             [](Machine& self, Weights W, Array<const float, 1> b, Array<const float, 1> c) {
                 require(W.shape(0) == self.n_hidden() && W.shape(1) == self.n_visible(), "W must fit the machine");
                 require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0), "b and c must fit W");
                 self.replace(strided(W), data(b), data(c));
             })
        .def("weights", [](Machine& self) { return matrix(self, self.weights()); })
        .def("weight_velocity", [](Machine& self) { return matrix(self, self.weight_velocity()); })
        .def("set_weight_velocity",
             [](Machine& self, Floats array) {
                 require(array.shape(0) == self.n_visible() && array.shape(1) == self.n_hidden(), "the velocity must fit W");
                 self.weight_velocity().read({data(array), self.n_hidden(), self.n_visible(), 1, ptrdiff_t(self.n_hidden())});
             })
        .def_prop_ro("b", [](nb::handle self) { auto& x = nb::cast<Machine&>(self); return View<float, 1>(x.b(), {x.n_visible()}, self); })
        .def_prop_ro("c", [](nb::handle self) { auto& x = nb::cast<Machine&>(self); return View<float, 1>(x.c(), {x.n_hidden()}, self); })
        .def_prop_ro("b_velocity", [](nb::handle self) { auto& x = nb::cast<Machine&>(self); return View<float, 1>(x.b_velocity(), {x.n_visible()}, self); })
        .def_prop_ro("c_velocity", [](nb::handle self) { auto& x = nb::cast<Machine&>(self); return View<float, 1>(x.c_velocity(), {x.n_hidden()}, self); })
        .def_prop_ro("copies", &Machine::copies)
        .def("write_floats", &write<float>, nb::arg().noconvert())
        .def("write_doubles", &write<double>, nb::arg().noconvert())
        .def("holds_floats", &holds<float>)
        .def("holds_doubles", &holds<double>)
        .def("logits_h", [](const Machine& self, Words v) { return logits(self, true, v); })
        .def("dense_logits_h", &dense_logits_h)
        .def("logits_v", [](const Machine& self, Words h) { return logits(self, false, h); })
        .def("sample_h", [](const Machine& self, Words v, KeyTuple key, PerRow beta, Table offset) { return sample(self, true, v, key, beta, offset); },
             nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none())
        .def("sample_v", [](const Machine& self, Words h, KeyTuple key, PerRow beta, Table offset) { return sample(self, false, h, key, beta, offset); },
             nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none())
        .def("sweeps", &sweeps, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(),
             nb::arg().none(), nb::arg().none())
        .def("contrasts", &contrasts, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg())
        .def("moments",
             [](const Machine& self, Words v, Floats mean_h, PerRow weights) {
                 const Side s = side(self, v, mean_h, weights);
                 Output<float> hv(self.n_visible() * self.n_hidden()), ev(self.n_visible()), eh(self.n_hidden());
                 {
                     nb::gil_scoped_release release;
                     self.moments(s, hv, ev, eh);
                 }
                 return nb::make_tuple(wrap(hv, self.n_visible(), self.n_hidden()), wrap(ev, self.n_visible()), wrap(eh, self.n_hidden()));
             },
             nb::arg(), nb::arg(), nb::arg().none())
        .def("ascend",
             [](Machine& self, Words v0, Floats h0, PerRow w0, Words v1, Floats h1, PerRow w1, float rate,
                float momentum, float decay, PerRow offset_v, PerRow offset_h) {
                 const Side positive = side(self, v0, h0, w0), negative = side(self, v1, h1, w1);
                 require(bool(offset_v) == bool(offset_h), "both layers have offsets, or none");
                 require(!offset_v || (offset_v->shape(0) == self.n_visible() && offset_h->shape(0) == self.n_hidden()),
                         "the offsets must fit the layers");
                 const Offsets offsets = offset_v ? Offsets{data(*offset_v), data(*offset_h)} : Offsets{nullptr, nullptr};
                 nb::gil_scoped_release release;
                 self.ascend(positive, negative, {rate, momentum, decay}, offsets);
             },
             nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg().none(), nb::arg().none())
        .def("ascend_along",
             [](Machine& self, Floats gW, Array<const float, 1> gb, Array<const float, 1> gc, float rate, float momentum, float decay) {
                 require(gW.shape(0) == self.n_visible() && gW.shape(1) == self.n_hidden(), "the gradient must fit W");
                 require(gb.shape(0) == self.n_visible() && gc.shape(0) == self.n_hidden(), "the gradient must fit b and c");
                 nb::gil_scoped_release release;
                 self.ascend_along(data(gW), data(gb), data(gc), {rate, momentum, decay});
             })
        .def("is_finite", &Machine::is_finite)
        .def("free_energy", &per_row<static_cast<void (Machine::*)(Bits, double*) const>(&Machine::free_energy)>)
        .def("dense_free_energy", [](const Machine& self, Floats v) {
            require(v.shape(1) == self.n_visible(), "v must fit the visible layer");
            Output<double> out(v.shape(0));
            {
                nb::gil_scoped_release release;
                self.free_energy({data(v), v.shape(0), v.shape(1), ptrdiff_t(v.shape(1)), 1}, out);
            }
            return wrap(out, v.shape(0));
        })
        .def("pseudo_log_likelihood", &per_row<&Machine::pseudo_log_likelihood>);

    m.def("matmul_floats", &product<float>);
    m.def("matmul_doubles", &product<double>);
    m.def("exp", [](Array<const double, 1> x) { return map(chosen->exponential, x); });
    m.def("log", [](Array<const double, 1> x) { return map(chosen->logarithm, x); });
    m.def("logistic", [](Array<const double, 1> x) { return map(chosen->logistic, x); });
    m.def("softplus", [](Array<const double, 1> x) { return map(chosen->softplus, x); });

    m.def("bernoulli", [](Floats logits, KeyTuple key, PerRow beta, Table offset) {
        const size_t rows = logits.shape(0), n = logits.shape(1), stride = words_for(n);
        const Affine argument = affine(beta, offset, rows, n);
        Output<uint64_t> out(rows * stride);
        {
            nb::gil_scoped_release release;
            bernoulli(*chosen, data(logits), rows, n, noise_key(key), argument, out, stride);
        }
        return wrap(out, rows, stride);
    }, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("draw", [](Floats p, KeyTuple key) {
        const size_t rows = p.shape(0), n = p.shape(1), stride = words_for(n);
        Output<uint64_t> out(rows * stride);
        {
            nb::gil_scoped_release release;
            draw(*chosen, data(p), rows, n, noise_key(key), out, stride);
        }
        return wrap(out, rows, stride);
    });
    m.def("random_bits", [](KeyTuple key, size_t rows, size_t columns) {
        Output<uint32_t> out(rows * columns);
        chosen->random(noise_key(key), int(rows), int(columns), out);
        return wrap(out, rows, columns);
    });
    m.def("mean", [](Floats logits, PerRow beta, Table offset) {
        const size_t rows = logits.shape(0), n = logits.shape(1);
        const Affine argument = affine(beta, offset, rows, n);
        Output<float> out(rows * n);
        {
            nb::gil_scoped_release release;
            mean(*chosen, data(logits), rows, n, argument, out);
        }
        return wrap(out, rows, n);
    }, nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("softplus_sum", [](Floats logits, PerRow beta, Table offset) {
        const size_t rows = logits.shape(0), n = logits.shape(1);
        const Affine argument = affine(beta, offset, rows, n);
        Output<double> out(rows);
        {
            nb::gil_scoped_release release;
            softplus_sum(*chosen, data(logits), rows, n, argument, out);
        }
        return wrap(out, rows);
    }, nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("encode", [](Array<const uint8_t, 2> X) {
        const size_t stride = words_for(X.shape(1));
        Output<uint64_t> out(X.shape(0) * stride);
        {
            nb::gil_scoped_release release;
            encode(data(X), X.shape(0), X.shape(1), out, stride);
        }
        return wrap(out, X.shape(0), stride);
    });
    m.def("states_of_floats", &states_if_binary<float>);
    m.def("states_of_doubles", &states_if_binary<double>);
    m.def("unit_of_floats", &unit<float>);
    m.def("unit_of_doubles", &unit<double>);
    m.def("decode", [](Words words, size_t n) {
        require(words.shape(1) == words_for(n), "n must fit the states");
        Output<uint8_t> out(words.shape(0) * n);
        {
            nb::gil_scoped_release release;
            decode(bits(words), n, out);
        }
        return wrap(out, words.shape(0), n);
    });
    m.def("dot", [](Words words, Array<const float, 1> x) {
        require(words.shape(1) == words_for(x.shape(0)), "x must fit the states");
        Output<double> out(words.shape(0));
        {
            nb::gil_scoped_release release;
            dot(bits(words), x.shape(0), data(x), out);
        }
        return wrap(out, words.shape(0));
    });
    m.def("dense_dot", [](Floats v, Array<const float, 1> x) {
        require(v.shape(1) == x.shape(0), "x must fit v");
        Output<double> out(v.shape(0));
        {
            nb::gil_scoped_release release;
            dot(data(v), v.shape(0), v.shape(1), data(x), out);
        }
        return wrap(out, v.shape(0));
    });
    m.def("log_partition_block",
          [](Array<const double, 2> W, Array<const double, 1> b, Array<const double, 1> c, uint64_t first, uint64_t count) {
              require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0) && count > 0, "b and c must fit W");
              nb::gil_scoped_release release;
              return log_partition_block(*chosen, W.shape(1), W.shape(0), data(W), data(b), data(c), first, count);
          });
    m.def("moments_block",
          [](Array<const double, 2> W, Array<const double, 1> b, Array<const double, 1> c, uint64_t first, uint64_t count, double log_z) {
              require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0) && count > 0, "b and c must fit W");
              const size_t rows = W.shape(0) + 1, columns = W.shape(1) + 1;
              Output<double> out(rows * columns);
              {
                  nb::gil_scoped_release release;
                  moments_block(*chosen, W.shape(1), W.shape(0), data(W), data(b), data(c), first, count, log_z, out);
              }
              return wrap(out, rows, columns);
          });
    m.def("use", [](const std::string& name) {
        const Kernels* kernels = find_kernels(name.c_str());
        require(kernels, "this processor does not run that instruction set");
        chosen = kernels;
    });
    m.def("instruction_sets", [] {
        nb::list names;
        for (const char* name : {"amx", "avx512", "avx2", "portable"})
            if (find_kernels(name)) names.append(name);
        return names;
    });
    m.def("instruction_set", [] { return chosen->name; });
    m.def("assume_awake", assume_awake);
    m.def("max_threads", [] { return threads_for(1e9); });
}
