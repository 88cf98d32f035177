"""Plant every bug of the table, one at a time, in a copy of the package, and see that its tests fail.

``python tests/mutants/run.py`` plants those in Python, ``python tests/mutants/run.py native`` those in the kernels,
which takes a compiler, CMake and nanobind. A word more plants only the bugs whose file or name contains it. The process
fails if a bug survives, if its place is not found, or if the tests fail without one.

What passed is kept in ``build/mutants``, with a hash of the package, the tests' helpers and the tests themselves: a run
that was stopped goes on where it was, and a changed test runs its bugs again, as any change of the package runs all.
"""

from __future__ import annotations

import hashlib
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
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from planted import Mutant
from table import NATIVE, PYTHON

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build/mutants"
WORKERS = 2
TIMEOUT = 900  # seconds; a bug that makes its tests hang is found out
FAILED = 1  # pytest's exit code for tests that ran and failed
UNBUILT = 97  # a bug that does not compile

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

    def make(self) -> bool:
        """Bring what the tests run up to date with the sources; whether that went well."""
        return True

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
            code = self._test(tests) if self.make() else UNBUILT
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _test(self, tests: str) -> int:
        signal.alarm(TIMEOUT)
        os.chdir(ROOT)
        os.environ["PYTHONPATH"] = str(self.folder)
        exec(SITECUSTOMIZE, {})
        sys.path.insert(0, str(self.folder))
        import pytest

        options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
        code = int(pytest.main([*options, *shlex.split(tests)]))
        where = sys.modules["harmonium"].__file__ or ""
        return code if where.startswith(str(self.folder)) else 98

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
        if not self.make():
            raise RuntimeError("the kernels do not compile")
        shutil.copytree(self.build, folder / "sound")

    def make(self) -> bool:
        done = subprocess.run(["cmake", "--build", self.build], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:])
            return False
        shutil.copy(next(self.build.glob("_kernels*.so")), self.extension)
        return True

    def plant(self, mutant: Mutant) -> None:
        self.written = (self.folder / "harmonium" / mutant.file).stat()
        super().plant(mutant)

    def restore(self) -> None:
        """As before the bug, times included, so that only what the next one changes is compiled."""
        super().restore()
        os.utime(self.file, ns=(self.written.st_atime_ns, self.written.st_mtime_ns))
        shutil.rmtree(self.build)
        shutil.copytree(self.build.parent / "sound", self.build)


class Kept:
    """The outcomes of earlier runs, good for as long as nothing that they depend on has changed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._outcomes = path, {}
        if path.exists():
            self._outcomes = dict(json.loads(line) for line in path.read_text().splitlines())
        shared = [path for path in (ROOT / "src/harmonium").rglob("*") if path.suffix in {".py", ".cpp", ".hpp"}]
        shared += [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
        shared = [path for path in shared if path.parent != Path(__file__).parent]
        self._shared = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(shared))).hexdigest()

    def _name(self, tests: str, mutant: Mutant | None) -> str:
        file = (ROOT / shlex.split(tests)[0]).read_text()
        return hashlib.sha256(repr((self._shared, file, tests, mutant)).encode()).hexdigest()

    def get(self, tests: str, mutant: Mutant | None) -> str | None:
        """Which test failed at the bug, or "" where all passed as they should; none if that is not known."""
        return self._outcomes.get(self._name(tests, mutant))

    def add(self, tests: str, mutant: Mutant | None, words: str) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([self._name(tests, mutant), words]) + "\n")


def run_all(copies: list[Copy], tasks: list[tuple[str, Mutant | None]], done: Callable[..., None]) -> None:
    """Run the tests of every task, with its bug if it has one, on whichever copy is free."""
    at_work: dict[int, tuple[Copy, str, Mutant | None]] = {}
    waiting, free = iter(tasks), list(copies)
    while True:
        while free and (task := next(waiting, None)) is not None:
            (tests, mutant), copy = task, free.pop()
            try:
                if mutant is not None:
                    copy.plant(mutant)
            except RuntimeError as error:
                done(tests, mutant, -1, str(error), 0.0)
                free.append(copy)
                continue
            at_work[copy.start(tests)] = copy, tests, mutant
        if not at_work:
            return
        pid, status = os.wait()
        copy, tests, mutant = at_work.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        code = FAILED if code == -signal.SIGALRM else code
        done(tests, mutant, code, copy.words(), time.monotonic() - copy.begun)
        if mutant is not None:
            copy.restore()
        free.append(copy)


def main(*words: str) -> int:
    native = "native" in words
    wanted = [word for word in words if word != "native"]
    mutants = [x for x in (NATIVE if native else PYTHON) if all(word in f"{x.file}: {x.what}" for word in wanted)]
    sound = [(tests, None) for tests in sorted({mutant.tests for mutant in mutants})]
    tasks: list[tuple[str, Mutant | None]] = [*sound, *((mutant.tests, mutant) for mutant in mutants)]
    kept = Kept(KEPT / ("native" if native else "python"))
    killers: Counter[str] = Counter()
    problems: list[str] = []

    def report(tests: str, mutant: Mutant | None, code: int, words: str, seconds: float, again: bool = False) -> None:
        if mutant is None:
            good, line = code == 0, f"without a bug: {tests}"
            verdict = "passes" if good else "FAILS"
        else:
            good, line = code == FAILED, f"{mutant.file}: {mutant.what}"
            verdict = {FAILED: "killed", 0: "SURVIVED"}.get(code, f"UNCLEAR ({code})")
        print(f"{verdict}  {line}  [{'before' if again else f'{seconds:.0f} s'}]  {words}", flush=True)
        if not good:
            problems.append(f"{verdict} {line}: {words}")
            return
        if mutant is not None:
            killers[words.removeprefix("FAILED ").removeprefix("ERROR ").partition("::")[0]] += 1
        if not again:
            kept.add(tests, mutant, words)

    for tests, mutant in tasks:
        if (outcome := kept.get(tests, mutant)) is not None:
            report(tests, mutant, 0 if mutant is None else FAILED, outcome, 0.0, again=True)
    tasks = [task for task in tasks if kept.get(*task) is None]

    # Before anything is imported: a process that has started threads would fork without them.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    for name in COMMON:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        kind = CompiledCopy if native else Copy
        run_all([kind(Path(folder) / str(k)) for k in range(min(WORKERS, len(tasks)))], tasks, report)
    killed = sum(killers.values())
    print(json.dumps({"planted": len(mutants), "killed": killed, "problems": len(problems), "by": dict(killers)}))
    print(*problems, sep="\n", file=sys.stderr)
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
