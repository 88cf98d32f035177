"""Sampling on a GPU without Triton: its function of C++, compiled by the system's compiler, gives the native bits."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from oracles import random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import make_engine
from harmonium.random import MovingStep

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
plain = pytest.importorskip("harmonium.engines.torch_arithmetic")
jit = pytest.importorskip("harmonium.engines.torch_jit")
kernels = pytest.importorskip("harmonium.engines.torch_kernels")

ROWS, N_HIDDEN, N_VISIBLE = 9, 21, 37
KEY = Key(0x9123456789ABCDEF, 3, 0xF0000001, 7)

# What CUDA has that C++ has not.
BEFORE = """
#include <cmath>
#include <cstring>
template <typename T> T __dadd_rn(T x, T y) { return x + y; }
template <typename T> T __dmul_rn(T x, T y) { return x * y; }
template <typename T> T __ddiv_rn(T x, T y) { return x / y; }
static float __fadd_rn(float x, float y) { return x + y; }
static float __fmul_rn(float x, float y) { return x * y; }
static double __longlong_as_double(long long x) { double y; memcpy(&y, &x, 8); return y; }
static unsigned __umulhi(unsigned x, unsigned y) { return (unsigned long long)x * y >> 32; }
"""
AFTER = """
extern "C" void play(const long long* rows, long long n_rows, const long long* quads, long long n_quads,
                     const long long* a, long long* out) {{
  for (long long i = 0; i < n_rows; i++)
    for (long long j = 0; j < n_quads; j++) out[i * n_quads + j] = four_states<long long>(rows[i], quads[j], {});
}}
"""


def built(path, source):
    """What `torch.cuda.jiterator` makes of the function, on the processor."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("a C++ compiler")
    names = jit.parameters()
    text = BEFORE + source + AFTER.format(", ".join(f"a[{k}]" for k in range(len(names))))
    (path / "states.cpp").write_text(text)
    options = "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"
    library = path / "states.so"
    subprocess.run([compiler, *options, "-o", library, path / "states.cpp"], check=True)
    play = ctypes.CDLL(str(library)).play

    def launch(rows, quads, **numbers):
        assert rows.shape == (len(rows), 1)
        assert list(numbers) == names
        a = np.array(list(numbers.values()), np.int64)
        out = torch.zeros(len(rows), len(quads), dtype=torch.int64)
        pointers = rows.data_ptr(), len(rows), quads.data_ptr(), len(quads), a.ctypes.data, out.data_ptr()
        play(*map(ctypes.c_longlong, pointers))
        return out

    return launch


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    return built(tmp_path_factory.mktemp("jit"), jit.SOURCE)


@pytest.fixture
def engines(launch, monkeypatch):
    """The native one, and what runs on a GPU that has no Triton, on the processor."""
    monkeypatch.setattr(jit, "_compiled", lambda: launch)
    return built_engines(monkeypatch)


def built_engines(monkeypatch):
    from harmonium.engines.torch_recorded import RecordedEngine

    # The processor has no product of halves.
    monkeypatch.setattr(plain, "product", lambda x, y: torch.mm(x.float(), y.float()))
    rbm = RBM(*random_parameters(N_HIDDEN, N_VISIBLE))
    mine = RecordedEngine(rbm)
    machine = mine._machine
    machine.states = torch.float16
    machine.to_hidden, machine.to_visible = (plain.pack(x, torch.float16) for x in (machine.W, machine.W.T))
    mine.do = jit
    return make_engine(rbm, "native"), mine


def same_states(engines):
    """Of both layers, with every kind of affine argument."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(3, N_HIDDEN)).astype(np.float32)
    for affine in ((1.0, None), (0.3, table[0]), (rng.random(3), table), (rng.random(ROWS), None)):
        left = []
        for engine in engines:
            v = engine.encode(random_states(ROWS, N_VISIBLE, 2))
            drawn = engine.bernoulli(engine.logits_h(v), KEY, *affine), engine.sample_h(v, KEY, *affine)
            left.append([engine.decode(x) for x in (*drawn, engine.sample_v(drawn[0], KEY.on(4)))])
        for native, mine in zip(*left, strict=True):
            np.testing.assert_array_equal(mine, native)


def test_states(engines):
    same_states(engines)


def test_close_calls(tmp_path, monkeypatch):
    """Where every decision is made in double precision."""
    source = jit.SOURCE.replace("fabsf(margin) < 1.9073486328125e-06f", "fabsf(margin) < 2.0f")
    assert source != jit.SOURCE
    launch = built(tmp_path, source)
    monkeypatch.setattr(jit, "_compiled", lambda: launch)
    same_states(built_engines(monkeypatch))


def test_a_moving_step(engines):
    native, mine = engines
    noise = jit.Noise(KEY.seed, KEY.stream, MovingStep(torch.tensor(5), 3, 2**32 - 10), KEY.row)
    m, v = mine._machine, random_states(ROWS, N_VISIBLE, 2)
    got = jit.sample(mine.encode(v).x, m.to_hidden, m.c, N_HIDDEN, noise, 1.0, None, torch.float16)
    expected = native.decode(native.sample_h(native.encode(v), KEY.at(5)))
    np.testing.assert_array_equal(got[:, :N_HIDDEN], expected)
    assert not got[:, N_HIDDEN:].any()


def test_a_temperature(engines):
    rng, left = np.random.default_rng(0), []
    y, x = (rng.normal(size=(2, units)).astype(np.float32) for units in (N_HIDDEN, N_VISIBLE))
    slopes = rng.normal(size=(1, 2, N_VISIBLE)).astype(np.float32)
    for engine in engines:
        v = engine.encode(random_states(ROWS, N_VISIBLE, 3))
        v, *sums = engine.anneal(v, (KEY, KEY.on(4)), np.array([0.2, 0.7], np.float32), y, x, slopes)
        left.append([engine.decode(v), *sums])
    for native, mine in zip(*left, strict=True):
        np.testing.assert_array_equal(mine, native)


# Which is used ------------------------------------------------------------------------------------------------------


@pytest.fixture
def modules(monkeypatch):
    """Which of those that a GPU has are imported; on the processor none of them runs as it is."""
    monkeypatch.setattr(plain, "product", lambda x, y: torch.mm(x.float(), y.float()))
    found = {"harmonium.engines._triton": ModuleNotFoundError("No module named 'triton'"), jit.__name__: jit}

    def imported(name):
        if isinstance(found[name], Exception):
            raise found[name]
        return found[name]

    monkeypatch.setattr(kernels.importlib, "import_module", imported)
    return found


def chosen():
    return kernels.arithmetic_on.__wrapped__(torch.device("cpu"))


def test_what_gives_the_bits_is_used(modules, launch, monkeypatch, caplog):
    monkeypatch.setattr(jit, "_compiled", lambda: launch)
    assert chosen() is jit
    modules["harmonium.engines._triton"] = plain  # which has its own bits
    assert chosen() is plain
    assert caplog.records == []


def test_what_fails_or_differs_is_not_used_and_the_log_says_so(modules, launch, monkeypatch, caplog):
    with caplog.at_level("WARNING"):
        assert chosen() is plain  # as there is no GPU, torch compiles nothing
    (record,) = caplog.records
    assert "No kernels of torch.cuda.jiterator (sampling only) on cpu" in record.message
    assert "Jiterator is only supported on CUDA" in record.message
    caplog.clear()

    def wrong(*args, **numbers):
        out = launch(*args, **numbers)
        out[-1, 0] ^= 0x3C00
        return out

    monkeypatch.setattr(jit, "_compiled", lambda: wrong)
    with caplog.at_level("WARNING"):
        assert chosen() is plain
    assert [record.message.partition("Got: ")[2] for record in caplog.records] == ["other bits than plain torch"]


def test_each_has_all_that_the_engine_does():
    """Names of the arithmetic's functions, as the engine's source asks for them."""
    import re

    folder = Path(plain.__file__).parent
    sources = "".join((folder / f"{name}.py").read_text() for name in ("torch", "torch_recorded", "torch_distributed"))
    asked = set(re.findall(r"\bdo\.(\w+)\(", sources)) - {"contrast"}
    assert len(asked) > 15
    assert not [name for name in asked for module in (plain, jit) if not hasattr(module, name)]


def test_the_compiler_of_cuda_takes_it():
    """NVRTC itself, which needs no GPU, for two of them; where it is installed (pip install nvidia-cuda-nvrtc)."""
    nvidia = pytest.importorskip("nvidia", reason="NVRTC: make test-torch")
    places = [path for root in nvidia.__path__ for path in Path(root).glob("*/lib/libnvrtc.so.*")]
    if not places:
        pytest.skip("NVRTC: make test-torch")
    nvrtc = ctypes.CDLL(str(places[0]))
    names = jit.parameters()
    numbers = "".join(f", long long {name}" for name in names)
    kernel = f"""
extern "C" __global__ void play(const long long* rows, const long long* quads, long long* out{numbers}) {{
  int i = blockIdx.x * 128 + threadIdx.x;
  out[i] = four_states<long long>(rows[i], quads[i], {", ".join(names)});
}}"""
    for architecture in ("sm_80", "sm_90"):
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        source = (jit.SOURCE + kernel).encode()
        assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"states.cu", 0, None, None) == 0
        options = [b"--std=c++17", b"-default-device", f"--gpu-architecture={architecture}".encode()]
        failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        assert not failed, log.value.decode()
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        assert size.value > 1000
