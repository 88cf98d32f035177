"""Bugs planted in the kernels: each is compiled before its tests run."""

from __future__ import annotations

from table import CONFORMANCE, of

GOLDEN = "tests/conformance/test_golden_bits.py"

NATIVE = [
    *of(
        "engines/_native/kernels.cpp",
        ("biased uniform", "return (word + 0.5) * 0x1p-32;", "return (word + 1.0) * 0x1p-32;", CONFORMANCE),
        ("momentum forgotten", "load<vf>(velocity + at) * rates.momentum + slope", "slope", CONFORMANCE),
        (
            "decay of the wrong sign",
            "load<vf>(gradient + at) - x * rates.weight_decay",
            "load<vf>(gradient + at) + x * rates.weight_decay",
            CONFORMANCE,
        ),
        (
            "one temperature for all rows",
            "const float b = beta ? beta[r] : 1.0f;",
            "const float b = beta ? beta[0] : 1.0f;",
            CONFORMANCE,
        ),
        (
            "units beyond the last",
            "out[r * stride] = bits & valid;\n    }\n}\n\nstatic void draw",
            "out[r * stride] = bits;\n    }\n}\n\nstatic void draw",
            CONFORMANCE,
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
        ("tables of the last row alone", "lists.used |= groups;", "lists.used = groups;", GOLDEN),
    ),
    *of(
        "engines/_native/philox.hpp",
        ("a round too few", "round < 10", "round < 9", GOLDEN),
    ),
    *of(
        "engines/_native/machine.cpp",
        (
            "unscaled negative phase",
            "weights.push_back(s == 0 ? weight : -weight);",
            "weights.push_back(s == 0 ? weight : -1.0f);",
            CONFORMANCE,
        ),
        (
            "a negative phase of the wrong sign",
            "weights.push_back(s == 0 ? weight : -weight);",
            "weights.push_back(weight);",
            CONFORMANCE,
        ),
        (
            "the other layer's bias",
            "bias = hidden ? c_ : b_;\n    const size_t n = hidden ? n_ : m_;\n    clear_last_half",
            "bias = hidden ? b_ : c_;\n    const size_t n = hidden ? n_ : m_;\n    clear_last_half",
            CONFORMANCE,
        ),
        (
            "every block draws the first rows' noise",
            "        at.row += uint32_t(first);\n        kernels_.sample(",
            "        kernels_.sample(",
            CONFORMANCE,
        ),
    ),
    *of(
        "engines/_native/enumerate.cpp",
        (
            "states without c",
            "out[s] += low.c[s % n_low] + high_c[s / n_low];",
            "out[s] += high_c[s / n_low];",
            CONFORMANCE,
        ),
    ),
]
