"""Write the README's performance table from a benchmark's JSON.

harmonium bench --json > docs/results/bench.json
python benchmarks/readme_table.py docs/results/bench.json README.md
"""

import json
import sys
from pathlib import Path

BEGIN, END = "<!-- performance: begin -->\n", "<!-- performance: end -->\n"
NAMES = {
    "floor": "the floor: five bare float32 products through NumPy's BLAS",
    "native": "**Harmonium, native engine**: a whole training step",
    "native_centered": "the same with centred gradients, as by default",
    "numpy_naive": "CD-1 as a user would write it in NumPy, float32",
    "torch": "the same in eager PyTorch",
    "keras_jax": "`harmonium.keras.RBM`, `train_on_batch` on JAX",
    "keras_tensorflow": "`harmonium.keras.RBM`, `train_on_batch` on TensorFlow",
    "sklearn_float32": "scikit-learn's `BernoulliRBM.fit`, float32 data",
    "numpy": "Harmonium, NumPy engine",
    "sklearn": "scikit-learn's `BernoulliRBM.fit`, 0/1 integers",
}


def table(bench: dict) -> str:
    """The table, in Markdown."""
    cd1, gibbs, machine = bench["cd1"], bench["gibbs"], bench["machine"]
    lines = ["| CD-1, 784 × 500, batch 100 | samples/s | ÷ floor |", "|---|---|---|"]
    rates = sorted(((cd1[name], name) for name in NAMES if name in cd1), reverse=True)
    lines += [f"| {NAMES[name]} | {rate:,.0f} | {rate / cd1['floor']:.2f} |" for rate, name in rates]
    ratio = {name: f"{bench[name]['ratio_to_floor']:.2f}" for name in ("cd1", "cd1_batch_10", "gibbs")}
    lines += [
        "",
        f"Round by round, training ran at {ratio['cd1']} times the floor ({ratio['cd1_batch_10']} with batches of 10) "
        f"and at {cd1['ratio_to_sklearn']:.1f} times scikit-learn on the same 0/1 integers "
        f"({cd1['ratio_to_sklearn_float32']:.1f} on float32). Gibbs sampling of 1,000 chains ran at {ratio['gibbs']} "
        f"times its floor, {gibbs['flips_per_ns']:.2f} flips a nanosecond. Exact enumeration took "
        f"{bench['log_partition']['ns_per_state_visible']:.3f} ns for a state and visible unit. Training needed "
        f"{bench['memory_added_by_training_mb']:.0f} MB beside the array of data. {bench['threads']} threads, "
        f"{machine['processor']}, {machine['instruction_set']} instructions, {machine['blas'][0]}.",
    ]
    return "\n".join(lines) + "\n"


def main(bench_file: str, readme_file: str) -> None:
    """Replace what stands between the two marks."""
    readme = Path(readme_file)
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(before + BEGIN + table(json.loads(Path(bench_file).read_text())) + END + after)


if __name__ == "__main__":
    main(*sys.argv[1:])
