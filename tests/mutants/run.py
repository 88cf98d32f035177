"""Plant every bug of the table, one at a time, in a copy of the package, and see that its tests fail.

``python tests/mutants/run.py`` plants those in Python, ``python tests/mutants/run.py native`` those in the kernels,
which takes a compiler, CMake and nanobind. A word more plants only the bugs whose file or name contains it. The process
fails if a bug survives, if its place is not found, or if the tests fail without one.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from native_table import NATIVE
from table import PYTHON, Mutant

ROOT = Path(__file__).parents[2]
WORKERS = 2
TIMEOUT = 900  # seconds; a bug that makes its tests hang is found out
FAILED = 1  # pytest's exit code for tests that ran and failed

# Imported once, before the forks; the package under test must not be among them.
COMMON = ("numpy", "scipy.special", "scipy.stats", "sklearn.base", "_pytest.python", "safetensors.numpy", "typer")

# An editable install finds the package before the path does.
SITECUSTOMIZE = """
import sys
sys.meta_path = [x for x in sys.meta_path if "ScikitBuild" not in type(x).__name__]
"""


class Copy:
    """The package in a folder of its own, on which tests run in place of the installed one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src/harmonium", folder / "harmonium")
        code = "import harmonium.engines._native._kernels as kernels; print(kernels.__file__)"
        built = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        self.extension = folder / "harmonium/engines/_native" / Path(built).name
        shutil.copy(built, self.extension)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)

    def plant(self, mutant: Mutant) -> None:
        self.file = self.folder / "harmonium" / mutant.file
        self.original = self.file.read_text()
        if self.original.count(mutant.old) != 1:
            count = self.original.count(mutant.old)
            raise RuntimeError(f"the code has changed: {mutant.old!r} stands in it {count} times")
        self.file.write_text(self.original.replace(mutant.old, mutant.new))

    def restore(self) -> None:
        self.file.write_text(self.original)

    def start(self, tests: str) -> int:
        """Begin to test in a forked process; its number."""
        self.log, self.begun = self.folder / "log", time.monotonic()
        pid = os.fork()
        if pid:
            return pid
        code = 99
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            signal.alarm(TIMEOUT)
            os.chdir(ROOT)
            os.environ["PYTHONPATH"] = str(self.folder)
            exec(SITECUSTOMIZE, {})
            sys.path.insert(0, str(self.folder))
            import pytest

            options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
            code = int(pytest.main([*options, *shlex.split(tests)]))
            where = sys.modules["harmonium"].__file__ or ""
            code = code if where.startswith(str(self.folder)) else 98
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def words(self) -> str:
        """The last of what the tests said."""
        lines = self.log.read_text(errors="replace").splitlines()
        return ([line for line in lines if line.startswith(("FAILED", "ERROR"))] or lines or [""])[-1][:140]


class CompiledCopy(Copy):
    """As `Copy`, with an extension that is built from its own sources."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "package")
        self.build, tree = folder / "build", folder / "tree"
        (tree / "src").mkdir(parents=True)
        shutil.copy(ROOT / "CMakeLists.txt", tree)
        (tree / "src/harmonium").symlink_to(self.folder / "harmonium")
        command = [sys.executable, "-m", "nanobind", "--cmake_dir"]
        nanobind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        options = [f"-Dnanobind_DIR={nanobind}", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
        subprocess.run(["cmake", "-S", tree, "-B", self.build, *options], capture_output=True, check=True)
        self._compile()

    def _compile(self) -> None:
        done = subprocess.run(["cmake", "--build", self.build, "-j2"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the bug does not compile: {done.stdout[-2000:]}")
        shutil.copy(next(self.build.glob("_kernels*.so")), self.extension)

    def plant(self, mutant: Mutant) -> None:
        super().plant(mutant)
        self._compile()


def run_all(copies: list[Copy], tasks: Iterator[tuple[str, Mutant | None]], done: Callable[..., None]) -> None:
    """Run the tests of every task, with its bug if it has one, on whichever copy is free."""
    at_work: dict[int, tuple[Copy, str, Mutant | None]] = {}
    tasks = iter(tasks)
    free, more = list(copies), True
    while more or at_work:
        while free and more:
            try:
                tests, mutant = next(tasks)
            except StopIteration:
                more = False
                break
            copy = free.pop()
            try:
                if mutant is not None:
                    copy.plant(mutant)
            except RuntimeError as error:
                done(tests, mutant, -1, str(error), 0.0)
                free.append(copy)
                continue
            at_work[copy.start(tests)] = copy, tests, mutant
        if at_work:
            pid, status = os.wait()
            copy, tests, mutant = at_work.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            done(
                tests, mutant, FAILED if code == -signal.SIGALRM else code, copy.words(), time.monotonic() - copy.begun
            )
            if mutant is not None:
                copy.restore()
            free.append(copy)


def main(*words: str) -> int:
    native = "native" in words
    wanted = [word for word in words if word != "native"]
    mutants = [x for x in (NATIVE if native else PYTHON) if all(word in f"{x.file}: {x.what}" for word in wanted)]
    problems: list[str] = []

    def report(tests: str, mutant: Mutant | None, code: int, words: str, seconds: float) -> None:
        if mutant is None:
            good, line = code == 0, f"without a bug: {tests}"
            verdict = "passes" if good else "FAILS"
        else:
            good, line = code == FAILED, f"{mutant.file}: {mutant.what}"
            verdict = {FAILED: "killed", 0: "SURVIVED"}.get(code, f"UNCLEAR ({code})")
        print(f"{verdict}  {line}  [{seconds:.0f} s]  {words}", flush=True)
        if not good:
            problems.append(f"{verdict} {line}: {words}")

    # Before anything is imported: a process that has started threads would fork without them.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    for name in COMMON:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        if native:
            copies: list[Copy] = [CompiledCopy(Path(folder))]
        else:
            copies = [Copy(Path(folder) / str(k)) for k in range(WORKERS)]
        run_all(copies, ((tests, None) for tests in sorted({mutant.tests for mutant in mutants})), report)
        run_all(copies, ((mutant.tests, mutant) for mutant in mutants), report)
    killed = len(mutants) - sum("without a bug" not in problem for problem in problems)
    print(json.dumps({"planted": len(mutants), "killed": killed, "problems": len(problems)}))
    print(*problems, sep="\n", file=sys.stderr)
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
