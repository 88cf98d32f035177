"""Bugs planted in the kernels: each is compiled before its tests run."""

from __future__ import annotations

from planted import of

DECISIONS = "tests/conformance/test_decisions.py"
SUMS = "tests/conformance/test_sums_and_steps.py"
GOLDEN = "tests/conformance/test_golden_bits.py"
KERNELS = "tests/conformance/test_native.py"
PROCESSES = "tests/conformance/test_processes.py"
EARLY = "tests/conformance/test_early.py"

NATIVE = [
    *of(
        "engines/_native/kernels.cpp",
        ("biased uniform", "return (word + 0.5) * 0x1p-32;", "return (word + 1.0) * 0x1p-32;", DECISIONS),
        ("momentum forgotten", "load<vf>(velocity + at) * rates.momentum + slope", "slope", SUMS),
        (
            "decay of the wrong sign",
            "load<vf>(gradient + at) - x * rates.weight_decay",
            "load<vf>(gradient + at) + x * rates.weight_decay",
            SUMS,
        ),
        (
            "units beyond the last",
            "if (SAMPLE) out[r * stride] = bits & valid;",
            "if (SAMPLE) out[r * stride] = bits;",
            KERNELS,
        ),
        ("no second look near the threshold", "mask_bits(absolute(margin[i]) < 0x1p-19f)", "0", KERNELS),
        (
            "a second look that is too seldom taken",
            "absolute(margin[i]) < 0x1p-19f",
            "absolute(margin[i]) < 0x1p-23f",
            KERNELS,
        ),
    ),
    *of(
        "engines/_native/lookup.hpp",
        (
            "sums that wrap around",
            "if (bound_ > INT32_MAX) {",
            "if (bound_ > int64_t(64) * INT32_MAX) {",
            GOLDEN,
        ),
        ("bounds of the positive sums alone", "{(vi)positive, (vi)(positive - all)}", "{(vi)positive}", GOLDEN),
    ),
    *of(
        "engines/_native/tables.hpp",
        ("tables of the last row alone", "lists.used |= groups;", "lists.used = groups;", GOLDEN),
        ("groups that begin with the first", "_mm_set1_epi16(short(g))", "_mm_set1_epi16(0)", GOLDEN),
        ("registers too few for a last tile", "if (width <= 16)", "if (width <= 24)", KERNELS),
    ),
    *of(
        "engines/_native/early.hpp",
        ("a bound that knows not how many are on", "splat(most * 0.5f)", "splat(most * 0.45f)", EARLY),
        ("roundings smaller than they are", "roundings * 1.001f", "roundings * 0.9f", EARLY),
        ("roundings of one sign", "roundings[i].largest());", "roundings[i].positive);", EARLY),
        ("no error of offsets", "if (offset) d += absolute(load<vf>(offset + i)) * 0x1p-21f;", "", EARLY),
        ("errors that beta does not touch", "load<vf>(error + i) * fabsf(beta)", "load<vf>(error + i)", EARLY),
        ("a slope too small", "t[i] * -0.5f, t[i])", "t[i] * -0.5f, t[i] * 0.8f)", EARLY),
        ("errors however large", "select(d < 1.5f, d * (1.0f + d * (1.0f + d)), splat(INFINITY))", "d", EARLY),
        ("one offset for all rows", "affine.offset_of(first + r) + column", "affine.offset_of(first) + column", EARLY),
        (
            "integers that outgrow 16 bits below zero",
            "(bound.positive > 32767u) | ((bound.positive - bound.all) > 32767u)",
            "(bound.positive > 32767u)",
            EARLY,
        ),
    ),
    *of(
        "engines/_native/layers.cpp",
        (
            "the other layer's bias",
            "bias = hidden ? c_ : b_;\n    uint32_t* half_words = reinterpret_cast<uint32_t*>(out);\n    for_blocks",
            "bias = hidden ? b_ : c_;\n    uint32_t* half_words = reinterpret_cast<uint32_t*>(out);\n    for_blocks",
            KERNELS,
        ),
        ("every block draws the first rows' noise", "key.row += uint32_t(row);", "", KERNELS),
    ),
    *of(
        "engines/_native/copies.cpp",
        ("rows of other weights", "forget_rows();\n}", "}", EARLY),
        ("an extent without room", "extents[i] * 1.01f", "extents[i] * 0.9f", EARLY),
    ),
    *of(
        "engines/_native/steps.cpp",
        (
            "chains that start at the batch count alike",
            "step.start ? nullptr : step.weights, nullptr}",
            "nullptr, nullptr}",
            KERNELS,
        ),
        ("sweeps that share their noise", "sweep++, key_h.step++, key_v.step++", "sweep++", KERNELS),
        ("steps that share their noise", "step.key.step++;", "", KERNELS),
        ("a running mean that jumps", "before[i] + share * (out[i] - before[i])", "out[i]", KERNELS),
    ),
    *of(
        "engines/_native/philox.hpp",
        ("a round too few", "round < 10", "round < 9", GOLDEN),
    ),
    *of(
        "engines/_native/vec.hpp",
        ("numbers of 25 bits", "most = (vi){} + 8388607;", "most = (vi){} + 16777215;", KERNELS),
    ),
    *of(
        "engines/_native/dense.hpp",
        ("another order of the terms", "t = 0; t < n_terms; t++", "t = n_terms; t-- > 0;", KERNELS),
    ),
    *of(
        "engines/_native/dense.cpp",
        (
            "scratch that threads share",
            "static thread_local Buffer<T> own_factors;",
            "static Buffer<T> own_factors;",
            KERNELS,
        ),
    ),
    *of(
        "engines/_native/real.cpp",
        ("a group of units that takes another's terms", "start = starts_[group],", "start = starts_[0],", KERNELS),
        ("grey rows that count alike", "if (side.weights) std", "if (false) std", KERNELS),
    ),
    *of(
        "engines/_native/machine.cpp",
        (
            "ascend_along leaves the packed weights as they were",
            "follow(c_[i], dc_[i], gc[i], rates);\n    renew();",
            "follow(c_[i], dc_[i], gc[i], rates);",
            KERNELS,
        ),
        (
            "a packed copy left behind by an update",
            "if (layer.exact.current) pack(hidden, column, block);",
            "if (layer.exact.current) pack(hidden, column, 0);",
            KERNELS,
        ),
        (
            "expectations that threads share",
            "static thread_local Packed packed_means;",
            "static Packed packed_means;",
            KERNELS,
        ),
        ("weights that lose a bit", "int(bits >> 23) - 126", "int(bits >> 23) - 125", KERNELS),
        (
            "unscaled negative phase",
            "weights.push_back(s == 0 ? weight : -weight);",
            "weights.push_back(s == 0 ? weight : -1.0f);",
            SUMS,
        ),
        (
            "a negative phase of the wrong sign",
            "weights.push_back(s == 0 ? weight : -weight);",
            "weights.push_back(weight);",
            SUMS,
        ),
        (
            "a lock that no fork waits for",
            "packing_(next_packing())",
            "packing_(*new std::mutex)",
            PROCESSES,
        ),
        ("16 bits that were outgrown", "!(changed || repack_early[hidden][column])", "!changed", EARLY),
    ),
    *of(
        "engines/_native/enumerate.cpp",
        (
            "states without c",
            "out[4 * s + q] + (low.c[s] + high_c[q]);",
            "out[4 * s + q] + high_c[q];",
            SUMS,
        ),
        ("moments of the first high bit alone", "(first_run + run) >> (i - low_bits) & 1;", "run & 1;", KERNELS),
    ),
    *of(
        "engines/_native/products.hpp",
        ("moments that lose a state in eight", "(s[1] + s[3]) + (s[5] + s[7])", "(s[1] + s[3]) + s[5]", KERNELS),
        (
            "products that leave the range of numbers",
            "end = j + size_t(safe) * 8",
            "end = j + size_t(safe) * 800",
            KERNELS,
        ),
    ),
    *of(
        "engines/_native/pseudo.cpp",
        ("a flip off that forgets the weights", "change - sums[u] - bias", "change - bias", SUMS),
        ("rows scored as the first of their group", "std::min(group * ROWS + q, rows - 1)", "group * ROWS", KERNELS),
        ("exponentials however large", "TAME = 300;", "TAME = 1e9;", KERNELS),
    ),
    *of(
        "engines/_native/bind_machine.cpp",
        (
            "no shape check of states",
            'machine.n_hidden()), "states must fit the layer");',
            'machine.n_hidden()) || true, "");',
            KERNELS,
        ),
    ),
    *of(
        "engines/_native/module.cpp",
        (
            "a forked process waits for threads",
            "pool().unlock();\n                       stay_on_one_thread();",
            "pool().unlock();",
            PROCESSES,
        ),
    ),
]
