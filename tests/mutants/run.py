"""Plant every bug of the table, one at a time, in a copy of the package, and see that its tests fail.

``python tests/mutants/run.py`` plants those in Python, ``python tests/mutants/run.py native`` those in the kernels,
which takes a compiler, CMake and nanobind. A word more plants only the bugs whose file or name contains it. The process
fails if a bug survives, if its place is not found, or if the tests fail without one.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from native_table import NATIVE
from table import PYTHON, Mutant

import harmonium.engines._native._kernels as kernels

ROOT = Path(__file__).parents[2]
WORKERS = 2
TIMEOUT = 600  # seconds; a bug that makes its tests hang is found out
FAILED = 1  # pytest's exit code for tests that ran and failed

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
        self.extension = folder / "harmonium/engines/_native" / Path(kernels.__file__).name
        shutil.copy(kernels.__file__, self.extension)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
        self.environment = os.environ | {
            "PYTHONPATH": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        code = "import harmonium; print(harmonium.__file__)"
        where = subprocess.run(
            [sys.executable, "-c", code], env=self.environment, capture_output=True, text=True, check=True
        )
        if not where.stdout.startswith(str(folder)):
            raise RuntimeError(f"The tests would run on {where.stdout}")

    def test(self, tests: str) -> tuple[int, str]:
        """Exit code and last words of pytest; that of failed tests if they do not end."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tb=line",
            "-p",
            "no:cacheprovider",
            *shlex.split(tests),
        ]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            return FAILED, f"no end within {TIMEOUT} s"
        words = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return done.returncode, (words or done.stdout.splitlines() or [done.stderr])[-1][:160]

    def plant(self, mutant: Mutant) -> None:
        file = self.folder / "harmonium" / mutant.file
        code = (ROOT / "src/harmonium" / mutant.file).read_text()
        if code.count(mutant.old) != 1:
            raise RuntimeError(f"{mutant.file} has changed: {mutant.old!r} stands in it {code.count(mutant.old)} times")
        file.write_text(code.replace(mutant.old, mutant.new))

    def restore(self, mutant: Mutant) -> None:
        shutil.copy(ROOT / "src/harmonium" / mutant.file, self.folder / "harmonium" / mutant.file)


class CompiledCopy(Copy):
    """As `Copy`, with an extension that is built from its own sources."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "package")
        self.build, self.tree = folder / "build", folder / "tree"
        (self.tree / "src").mkdir(parents=True)
        shutil.copy(ROOT / "CMakeLists.txt", self.tree)
        (self.tree / "src/harmonium").symlink_to(self.folder / "harmonium")
        nanobind = subprocess.run(
            [sys.executable, "-m", "nanobind", "--cmake_dir"], capture_output=True, text=True, check=True
        ).stdout.strip()
        options = [f"-Dnanobind_DIR={nanobind}", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
        subprocess.run(["cmake", "-S", self.tree, "-B", self.build, *options], capture_output=True, check=True)
        self.compile()

    def compile(self) -> None:
        done = subprocess.run(["cmake", "--build", self.build, "-j2"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The bug does not compile: {done.stdout[-2000:]}")
        shutil.copy(next(self.build.glob("_kernels*.so")), self.extension)

    def plant(self, mutant: Mutant) -> None:
        super().plant(mutant)
        self.compile()


def run(mutants: Sequence[Mutant], kind: type[Copy], n_workers: int) -> list[str]:
    """Plant all; a line for each bug that was not killed."""
    problems, free = [], Queue()
    with tempfile.TemporaryDirectory() as folder:
        for k in range(n_workers):
            free.put(kind(Path(folder) / str(k)))

        def on_a_copy(work):
            copy = free.get()
            try:
                return work(copy)
            finally:
                free.put(copy)

        def check_sound(tests: str) -> None:
            code, words = on_a_copy(lambda copy: copy.test(tests))
            if code != 0:
                problems.append(f"fails without a bug: {tests}: {words}")

        def check_killed(mutant: Mutant) -> None:
            def plant_and_test(copy: Copy) -> tuple[int, str]:
                try:
                    copy.plant(mutant)
                    return copy.test(mutant.tests)
                finally:
                    copy.restore(mutant)

            begun = time.monotonic()
            try:
                code, words = on_a_copy(plant_and_test)
            except RuntimeError as error:
                code, words = -1, str(error)
            verdict = {FAILED: "killed", 0: "SURVIVED"}.get(code, f"UNCLEAR ({code})")
            print(f"{verdict}  {mutant.file}: {mutant.what}  [{time.monotonic() - begun:.0f} s]  {words}", flush=True)
            if code != FAILED:
                problems.append(f"{verdict} {mutant.file}: {mutant.what}: {words}")

        with ThreadPoolExecutor(n_workers) as pool:
            list(pool.map(check_sound, sorted({mutant.tests for mutant in mutants})))
            list(pool.map(check_killed, mutants))
    return problems


def main(*words: str) -> int:
    native = "native" in words
    wanted = [word for word in words if word != "native"]
    mutants = [x for x in (NATIVE if native else PYTHON) if all(word in f"{x.file}: {x.what}" for word in wanted)]
    problems = run(mutants, CompiledCopy if native else Copy, 1 if native else WORKERS)
    print(json.dumps({"planted": len(mutants), "not_killed": len(problems)}))
    print(*problems, sep="\n", file=sys.stderr)
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
