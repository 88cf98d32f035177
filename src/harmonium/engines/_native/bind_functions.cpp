// Functions of arrays: products, elementary functions, what units do with their logits, and sums over all hidden states.
#include "arrays.hpp"

namespace harmonium {

template <class T>
static View<T, 2> product(const Matrix<const T>& x, const Array<const T, 2>& F) {
    require(x.shape(1) == F.shape(0), "the right side must have as many rows as the left side has columns");
    Output<T> out(x.shape(0) * F.shape(1));
    unlocked([&] { matmul(*chosen, strided(x), data(F), F.shape(1), static_cast<T*>(out)); });
    return wrap(out, x.shape(0), F.shape(1));
}

static View<double, 1> map(Elementwise function, const Array<const double, 1>& x) {
    Output<double> out(x.shape(0));
    unlocked([&] { elementwise(function, data(x), x.shape(0), out); });
    return wrap(out, x.shape(0));
}

static View<uint64_t, 2> bernoulli_of(const Floats& logits, const KeyTuple& key, const PerRow& beta, const Table& offset) {
    const size_t rows = logits.shape(0), n = logits.shape(1), stride = words_for(n);
    const Affine argument = affine(beta, offset, rows, n);
    Output<uint64_t> out(rows * stride);
    unlocked([&] { bernoulli(*chosen, data(logits), rows, n, noise_key(key), argument, out, stride); });
    return wrap(out, rows, stride);
}

static View<uint64_t, 2> draw_of(const Floats& p, const KeyTuple& key) {
    const size_t rows = p.shape(0), n = p.shape(1), stride = words_for(n);
    Output<uint64_t> out(rows * stride);
    unlocked([&] { draw(*chosen, data(p), rows, n, noise_key(key), out, stride); });
    return wrap(out, rows, stride);
}

static View<float, 2> mean_of(const Floats& logits, const PerRow& beta, const Table& offset) {
    const size_t rows = logits.shape(0), n = logits.shape(1);
    const Affine argument = affine(beta, offset, rows, n);
    Output<float> out(rows * n);
    unlocked([&] { mean(*chosen, data(logits), rows, n, argument, out); });
    return wrap(out, rows, n);
}

static View<double, 1> softplus_sum_of(const Floats& logits, const PerRow& beta, const Table& offset) {
    const size_t rows = logits.shape(0), n = logits.shape(1);
    const Affine argument = affine(beta, offset, rows, n);
    Output<double> out(rows);
    unlocked([&] { softplus_sum(*chosen, data(logits), rows, n, argument, out); });
    return wrap(out, rows);
}

// Parameters in double precision, for sums over `count` hidden states.
using Doubles = Array<const double, 1>;
static void require_block(const Array<const double, 2>& W, const Doubles& b, const Doubles& c, uint64_t count) {
    require(b.shape(0) == W.shape(1) && c.shape(0) == W.shape(0) && count > 0, "b and c must fit W");
}

static double log_partition(const Array<const double, 2>& W, const Doubles& b, const Doubles& c, uint64_t first, uint64_t count) {
    require_block(W, b, c, count);
    nb::gil_scoped_release release;
    return log_partition_block(*chosen, W.shape(1), W.shape(0), data(W), data(b), data(c), first, count);
}

static View<double, 2> moments(const Array<const double, 2>& W, const Doubles& b, const Doubles& c, uint64_t first, uint64_t count,
                               double log_z) {
    require_block(W, b, c, count);
    const size_t rows = W.shape(0) + 1, columns = W.shape(1) + 1;
    Output<double> out(rows * columns);
    unlocked([&] { moments_block(*chosen, W.shape(1), W.shape(0), data(W), data(b), data(c), first, count, log_z, out); });
    return wrap(out, rows, columns);
}

void bind_functions(nb::module_& m) {
    m.def("matmul_floats", &product<float>);
    m.def("matmul_doubles", &product<double>);
    m.def("exp", [](const Doubles& x) { return map(chosen->exponential, x); });
    m.def("log", [](const Doubles& x) { return map(chosen->logarithm, x); });
    m.def("logistic", [](const Doubles& x) { return map(chosen->logistic, x); });
    m.def("softplus", [](const Doubles& x) { return map(chosen->softplus, x); });

    m.def("bernoulli", &bernoulli_of, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("draw", &draw_of);
    m.def("mean", &mean_of, nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("softplus_sum", &softplus_sum_of, nb::arg(), nb::arg().none(), nb::arg().none());
    m.def("random_bits", [](const KeyTuple& key, size_t rows, size_t columns) {
        Output<uint32_t> out(rows * columns);
        chosen->random(noise_key(key), int(rows), int(columns), out);
        return wrap(out, rows, columns);
    });

    m.def("log_partition_block", &log_partition);
    m.def("moments_block", &moments);
}

}  // namespace harmonium
