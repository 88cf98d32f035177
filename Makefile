# Everything sets itself up: `make demo` and `make test` are all a fresh machine needs besides Python, make and a compiler.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-torch test-keras test-sets faults fuzz mutants seeds sanitize lint docs bench clean

demo: .venv/ready  ## the experiments on 5,000 real digits, on the native engine and TensorFlow; a page in demo/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check keras tensorflow-cpu
	$(BIN)/harmonium reproduce --data mnist-5k --out demo

test: .venv/ready  ## every test
	$(BIN)/python -m pytest

test-torch: .venv/ready  ## the torch engine, on the processor, bit for bit with the native one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pytest -k torch tests/conformance

test-keras: .venv/ready  ## what needs Keras, on TensorFlow and JAX, with real processes (several minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check keras tensorflow-cpu jax tensorboard
	$(BIN)/python -m pytest tests/keras tests/test_reproduce.py

faults: .venv/ready  ## 1,000 kills of runs, signals, full disks, and two processes on one run (several minutes)
	$(BIN)/python tests/faults/harness.py kills $(or $(KILLS),1000)
	$(BIN)/python tests/faults/harness.py signals
	$(BIN)/python tests/faults/harness.py disks
	$(BIN)/python tests/faults/harness.py pairs

fuzz: .venv/ready  ## damaged files, configurations and command lines, ten minutes for each of five targets
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: atheris \
	  || echo "Atheris is not to be had for this Python: inputs are drawn at random"
	$(BIN)/python tests/fuzz/fuzz.py $(or $(SECONDS),600)

seeds: .venv/ready  ## the statistical tests under 20 other base seeds (half an hour)
	for base in $$(seq 1 20); do $(BIN)/python -m pytest -m false_alarm --base-seed $$base || exit 1; done

mutants: .venv/ready  ## plant the bugs of tests/mutants, in Python and in the kernels (half an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nanobind
	$(BIN)/python tests/mutants/run.py
	$(BIN)/python tests/mutants/run.py native

# What depends most on the kernels and their threads. The conformance suite, a part of `make test`, varies both by itself.
TELLING := tests/test_training.py tests/test_resume.py tests/test_gibbs.py tests/test_likelihood.py tests/test_sklearn.py
test-sets: .venv/ready  ## results on older instruction sets, with 1, 2 and 4 threads (a few minutes)
	for run in portable:2 avx2:1 avx2:4; do \
	  export HARMONIUM_INSTRUCTION_SET=$${run%:*} OMP_NUM_THREADS=$${run#*:} OPENBLAS_NUM_THREADS=$${run#*:}; \
	  if $(BIN)/python -c "from harmonium.engines import native; native.instruction_set()" 2> /dev/null; then $(BIN)/python -m pytest $(TELLING) || exit 1; \
	  else echo "$$run: not on this processor"; fi; \
	done

sanitize: .venv/ready  ## the extension under the address and undefined-behaviour sanitizers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cmake ninja nanobind
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DHARMONIUM_SANITIZE=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -Dnanobind_DIR="$$($(BIN)/python -m nanobind --cmake_dir)"
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 $(BIN)/python tests/conformance/sanitize.py build/sanitize 40

lint: .venv/ready  ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/ready  ## the documentation, in docs/_build/html; a warning or a dead link is an error
	$(BIN)/python -m pip install --quiet --disable-pip-version-check sphinx myst-parser numpydoc furo sphinx-copybutton
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

bench: .venv/ready  ## speed beside the BLAS floor, in one run
	$(BIN)/harmonium bench

.venv/ready: pyproject.toml CMakeLists.txt $(wildcard src/harmonium/engines/_native/*)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build demo docs/_build docs/api/generated
