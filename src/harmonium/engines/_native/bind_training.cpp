// A machine's steps of training: whole ones of contrastive divergence, and along sides of a gradient or a gradient as arrays.
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <variant>
#include <vector>

#include "arrays.hpp"

namespace harmonium {

// Steps of contrastive divergence, of a batch or, with numbers of rows, (steps, rows), of data: the last chains' v and mean_h;
// logits and h of those that persist, and the running mean, or None for each.
static nb::tuple contrasts(Machine& machine, const std::variant<Words, Floats>& batch, const std::optional<Array<const int64_t, 2>>& numbers,
                           const PerRow& weights, const std::optional<Words>& start, const KeyTuple& key, const KeyTuple& key_h,
                           const KeyTuple& key_v, size_t n_sweeps, const std::vector<std::tuple<float, float, float>>& rates,
                           const PerRow& centre_v, const PerRow& centre_h, float share) {
    const Words* states = std::get_if<Words>(&batch);
    const Floats* reals = std::get_if<Floats>(&batch);
    const size_t m = machine.n_visible(), n = machine.n_hidden(), n_data = states ? states->shape(0) : reals->shape(0);
    const size_t rows = numbers ? numbers->shape(1) : n_data, n_chains = start ? start->shape(0) : rows;
    require(states ? states->shape(1) == words_for(m) : reals->shape(1) == m, "v must fit the visible layer");
    require(states || !centre_v, "steps of real data are not centred here");
    require(numbers ? numbers->shape(0) == rates.size() : rates.size() == 1, "each step has rates and rows");
    const int64_t* first = data_or_null(numbers);
    for (size_t i = 0; numbers && i < numbers->size(); i++)
        require(first[i] >= 0 && size_t(first[i]) < n_data, "numbers of rows must be those of v");
    require(!weights || weights->shape(0) == rows, "weights must have one entry a row");
    require(!start || start->shape(1) == words_for(n), "h must fit the hidden layer");
    require(n_sweeps > 0, "v is drawn once or more");
    require(!centre_v || centre_v->shape(0) == m, "the offsets must fit the layers");
    require(!centre_h || (centre_v && centre_h->shape(0) == n), "the offsets must fit the layers");
    Output<uint64_t> v(n_chains * words_for(m)), h(start ? n_chains * words_for(n) : 0);
    Output<float> mean(n_chains * n), logits(start ? n_chains * n : 0), centre(centre_v ? n : 0);
    const Strided<float> real = reals ? rows_of(*reals) : Strided<float>{};
    const Bits of_batch = {states ? data(*states) : nullptr, rows, words_for(m)};
    const Machine::Contrast step = {of_batch, reals ? &real : nullptr, data_or_null(weights), data_or_null(start), n_chains, n_sweeps,
                                    noise_key(key), noise_key(key_h), noise_key(key_v), data_or_null(centre_v), data_or_null(centre_h),
                                    share, v, mean, start ? static_cast<float*>(logits) : nullptr, h, centre};
    std::vector<Rates> of_steps;
    for (const auto& [rate, momentum, decay] : rates) of_steps.push_back({rate, momentum, decay});
    unlocked([&] { machine.contrasts(step, first, of_steps); });
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
    return {bits(v), data(mean_h), data_or_null(weights), nullptr};
}

static nb::tuple moments(const Machine& machine, const Words& v, const Floats& mean_h, const PerRow& weights) {
    const Side s = side(machine, v, mean_h, weights);
    const size_t m = machine.n_visible(), n = machine.n_hidden();
    Output<float> hv(m * n), ev(m), eh(n);
    unlocked([&] { machine.moments(s, hv, ev, eh); });
    return nb::make_tuple(wrap(hv, m, n), wrap(ev, m), wrap(eh, n));
}

static void ascend(Machine& machine, const Words& v0, const Floats& h0, const PerRow& w0, const Words& v1, const Floats& h1, const PerRow& w1,
                   float rate, float momentum, float decay, const PerRow& offset_v, const PerRow& offset_h) {
    const Side positive = side(machine, v0, h0, w0), negative = side(machine, v1, h1, w1);
    require(bool(offset_v) == bool(offset_h), "both layers have offsets, or none");
    require(!offset_v || (offset_v->shape(0) == machine.n_visible() && offset_h->shape(0) == machine.n_hidden()),
            "the offsets must fit the layers");
    const Offsets offsets = {data_or_null(offset_v), data_or_null(offset_h)};
    unlocked([&] { machine.ascend(positive, negative, {rate, momentum, decay}, offsets); });
}

static void ascend_along(Machine& machine, const Floats& gW, const Vector& gb, const Vector& gc, float rate, float momentum, float decay) {
    require(gW.shape(0) == machine.n_visible() && gW.shape(1) == machine.n_hidden(), "the gradient must fit W");
    require(gb.shape(0) == machine.n_visible() && gc.shape(0) == machine.n_hidden(), "the gradient must fit b and c");
    unlocked([&] { machine.ascend_along(data(gW), data(gb), data(gc), {rate, momentum, decay}); });
}

void bind_training(nb::class_<Machine>& machine) {
    machine
        .def("contrasts", &contrasts, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg())
        .def("moments", &moments, nb::arg(), nb::arg(), nb::arg().none())
        .def("ascend", &ascend, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg().none(), nb::arg().none())
        .def("ascend_along", &ascend_along);
}

}  // namespace harmonium
