"""Triton's kernels without a GPU: interpreted they give the native engine's bits, and they compile for two GPUs.

What neither sees is a race: a thread that loads what another has stored already. So kernels that load and store in one
place are made to have a barrier between, which is looked for in their source.
"""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch: make test-torch")
pytest.importorskip("triton", reason="Triton: make test-torch; there is none for this platform")

HERE = Path(__file__).parent
KERNELS = HERE.parent.parent / "src" / "harmonium" / "engines" / "_triton"


def run(script, *arguments, **environment):
    """What a script of this folder prints."""
    path = os.pathsep.join([str(HERE.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_interpreted_kernels_give_the_native_bits():
    found = run("interpreted.py", TRITON_INTERPRET="1")
    assert found.pop("enumeration") < 1e-11
    assert len(found) >= 20
    wrong = {name: result for name, result in found.items() if result[0]}
    assert not wrong, wrong
    assert all(size for _, size in found.values())


@pytest.mark.parametrize("capability", ["80", "90"])
def test_kernels_compile(capability, tmp_path):
    found = run("compiled.py", capability, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert len(found) == 15
    assert all(kernel["bytes"] > 1000 for kernel in found.values())
    # Only sums whose last bits are not promised may round a product and a sum at once.
    assert {name for name, kernel in found.items() if kernel["fused"]} <= {"pairs"}


def unguarded(source):
    """Pointers that a kernel stores to after it has loaded from them, with no barrier between: (kernel, pointer)."""
    found = []
    for kernel in ast.walk(ast.parse(source)):
        if not isinstance(kernel, ast.FunctionDef):
            continue
        aliases, events = {}, []
        for node in ast.walk(kernel):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                aliases.setdefault(node.targets[0].id, set()).update(names(node.value))
        for node in ast.walk(kernel):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                kind = node.func.attr
                if kind in ("load", "store"):
                    where = node.end_lineno, node.end_col_offset
                    events += [(where, kind, pointer) for pointer in pointers(node.args[0], aliases)]
                elif kind == "debug_barrier":
                    events.append(((node.end_lineno, node.end_col_offset), kind, None))
        loaded = set()
        for _, kind, pointer in sorted(events, key=lambda event: event[0]):
            if kind == "debug_barrier":
                loaded.clear()
            elif kind == "load":
                loaded.add(pointer)
            elif pointer in loaded:
                found.append((kernel.name, pointer))
    return found


def names(node):
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}


def pointers(node, aliases):
    """The parameters that an address is made of."""
    found, todo = set(), names(node)
    while todo:
        name = todo.pop()
        if name.endswith("_ptr"):
            found.add(name)
        elif name in aliases:
            todo |= aliases[name] - {name}
    return found


def test_what_is_loaded_and_stored_in_one_place_has_a_barrier_between():
    sources = [path.read_text() for path in KERNELS.glob("*.py")]
    assert sum(source.count("tl.debug_barrier()") for source in sources) >= 3
    assert [each for source in sources for each in unguarded(source)] == []


def test_a_missing_barrier_is_found():
    kernel = """
def settle(x_ptr, y_ptr, u):
    at = x_ptr + u
    x = tl.load(at) + tl.load(y_ptr + u)
    {}
    tl.store(x_ptr + u, x)
"""
    assert unguarded(kernel.format("tl.debug_barrier()")) == []
    assert unguarded(kernel.format("pass")) == [("settle", "x_ptr")]


def test_the_benchmark_runs_without_a_gpu(tmp_path):
    path = tmp_path / "gpu.json"
    benchmark = HERE.parent.parent / "benchmarks" / "gpu.py"
    sections = [
        "bits of sampling",
        "bits of CD-1",
        "bits of annealing",
        "bits of enumeration",
        "bits of pseudo-likelihood",
        "annealing",
        "without Triton",
    ]
    command = [sys.executable, benchmark, "--device", "cpu", "--small", "--out", path, "--only", *sections]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(path.read_text())["sections"]
    assert [section["section"] for section in found] == sections
    for section in found:
        assert section["error"] is None
        assert all(row.get("met", True) and row.get("wrong", 0) == 0 for row in section["rows"])
        assert section["rows"]


def test_the_benchmark_ends_when_its_time_is_up(tmp_path):
    benchmark, path = HERE.parent.parent / "benchmarks" / "gpu.py", tmp_path / "gpu.json"
    command = [sys.executable, benchmark, "--device", "cpu", "--small", "--seconds", "0", "--out", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    errors = [section["error"] for section in json.loads(path.read_text())["sections"]]
    assert {error.partition(" ")[0] for error in errors} == {"exit", "not"}  # ended, and not begun
    assert json.loads(done.stdout.splitlines()[-1])["device"] == "cpu"


def test_the_benchmark_says_what_is_required(monkeypatch):
    monkeypatch.syspath_prepend(HERE.parent.parent / "benchmarks")
    gpu, setting, speed = (
        importlib.import_module(name) for name in ("gpu", "gpu_sections.setting", "gpu_sections.speed")
    )
    rows = [
        setting.aimed({"chains": 1000, "us_a_temperature": 99.0}, "us_a_temperature", (100, 80), at_most=True),
        setting.aimed({"chains": 100, "flips_per_ns": 7.0}, "flips_per_ns", speed.FLIPS[100]),
        setting.aimed({"chains": 7, "flips_per_ns": 7.0}, "flips_per_ns", speed.FLIPS.get(7)),
    ]
    assert gpu.table({"sections": [{"section": "x", "rows": rows}]}).splitlines()[2:] == [
        "| x, chains 1000: us_a_temperature | 100 | 80 | 99 | yes |",
        "| x, chains 100: flips_per_ns | 8 | 11 | 7 | **no** |",
    ]
