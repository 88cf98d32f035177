"""Kill runs, fill disks, send signals, and see that nothing is lost: ``python tests/faults/harness.py kills 1000``.

Every family prints what it has done as one line of JSON, and the process fails if anything was lost.

kills N
    N processes are killed (SIGKILL), by turns at a random instant and at a boundary of the writer; each run goes on,
    may be killed again, and must end with the very files of a run that nothing has stopped, and with nothing beside it.
threads N
    N processes are killed, each on 1 to 4 threads, and each run goes on with another number of them.
signals
    SIGTERM and Ctrl-C save, and end the process with 143 and 130 within two seconds; a second one ends it at once.
disks
    A disk that is full, unwritable, failing or gone, at the boundaries of the writer: one message, exit code 1, and a
    run that goes on afterwards as if nothing had happened.
pairs
    Two processes on one run: one message, and a run that knows nothing of the other.
"""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runs import RUNS, SINCE_RESUMED, Child, Outcome, make_data, on_threads, run_whole, start, warm_up
from writer import at_number, watch

from harmonium.cli.progress import TrainingProgress

LIMIT = 2.0  # seconds from a signal to the end, on a processor of its own


class Harness:
    """One family of faults in a folder of its own; what goes wrong is collected."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random, self.wrong, self._n = folder, random.Random(seed), [], 0
        self._whole: dict[str, tuple[Path, float]] = {}
        make_data(folder)
        warm_up(folder)

    def whole(self, name: str) -> tuple[Path, float]:
        if name not in self._whole:
            self._whole[name] = run_whole(name, self.folder)
        return self._whole[name]

    def new(self) -> Path:
        """A place for a run, alone in its folder."""
        self._n += 1
        place = self.folder / f"{self._n}"
        place.mkdir()
        return place / "run"

    def child(self, name: str, out: Path, before: Callable[[], Any] | None = None) -> Child:
        """A process that begins the run or goes on with it."""

        def work() -> int:
            if before is not None:
                before()
            return start(name, self.folder, out)

        return Child(work, self.folder / "log")

    def check(self, condition: bool, what: str) -> None:
        if not condition:
            self.wrong.append(what)

    def finish(self, name: str, out: Path, what: str, drop: tuple[str, ...] = ()) -> None:
        """Let a run come to its end, and compare it with one that nothing has stopped."""
        child = self.child(name, out)
        code = child.wait()
        if code != 0:
            self.wrong.append(f"{name}, {what}: does not go on, exit code {code}: {child.messages}")
            return
        found = Outcome(out, drop).differences(Outcome(self.whole(name)[0], drop))
        found += [f"beside the run: {path.name}" for path in out.parent.iterdir() if path != out]
        self.check(not found, f"{name}, {what}: {', '.join(found)}")
        shutil.rmtree(out.parent)

    def count_boundaries(self, name: str) -> int:
        """How many boundaries of the writer a run has that nothing stops."""
        counter, out = self.folder / "boundaries", self.new()

        def before() -> None:
            write, seen = os.write, os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            watch(lambda _: write(seen, b"x"))

        self.check(self.child(name, out, before).wait() == 0, f"{name}: boundaries cannot be counted")
        shutil.rmtree(out.parent)
        return counter.stat().st_size

    def one_error(self, child: Child, code: int, what: str) -> None:
        """Exactly one message, and no traceback."""
        errors = [line for line in child.messages.splitlines() if line.startswith("error: ")]
        good = code == 1 and len(errors) == 1 and "Traceback" not in child.messages
        self.check(good, f"{what}: exit code {code}, {child.messages}")


def kill_at_once(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills(harness: Harness, wanted: int) -> dict[str, Any]:
    names, counts = list(RUNS), {"instant": 0, "boundary": 0}
    boundaries: dict[str, int] = {}
    runs = 0
    while sum(counts.values()) < wanted:
        name, out = names[runs % len(names)], harness.new()
        runs += 1
        how = ""
        while True:
            at_boundary = harness.random.random() < 0.5
            if at_boundary:
                if name not in boundaries:
                    boundaries[name] = harness.count_boundaries(name)
                number = harness.random.randrange(boundaries[name])
                code = harness.child(name, out, lambda n=number: watch(at_number(n, kill_at_once))).wait()
                how += f", killed at boundary {number}"
            else:
                seconds = harness.random.uniform(0, harness.whole(name)[1])
                code = harness.child(name, out).kill_after(seconds)
                how += f", killed after {seconds:.4f} s"
            if code != -signal.SIGKILL:  # it was done before
                break
            counts["boundary" if at_boundary else "instant"] += 1
            if harness.random.random() < 0.5 or sum(counts.values()) >= wanted:
                break
        harness.finish(name, out, how.removeprefix(", "))
    return {"runs": runs, "kills": sum(counts.values()), **counts}


def threads(harness: Harness, wanted: int) -> dict[str, Any]:
    whole, counts, done = harness.new(), [1, 2, 3, 4], 0
    harness.check(on_threads(1, harness.folder, whole).wait() == 0, "the run on one thread failed")
    while done < wanted:
        out, first = harness.new(), harness.random.choice(counts)
        process = on_threads(first, harness.folder, out)
        wait_for(out / "history.jsonl")
        time.sleep(harness.random.uniform(0, 0.3))
        process.kill()
        if process.wait() != -signal.SIGKILL:  # it was done before
            continue
        second = harness.random.choice([n for n in counts if n != first])
        code = on_threads(second, harness.folder, out).wait()
        found = Outcome(out).differences(Outcome(whole)) if code == 0 else [f"exit code {code}"]
        harness.check(not found, f"killed on {first} threads, went on with {second}: {', '.join(found)}")
        shutil.rmtree(out.parent)
        done += 1
    return {"kills": done}


def signals(harness: Harness) -> dict[str, Any]:
    slowest, done = 0.0, 0
    for name in ("cd", "pcd, missing", "pt", "fpcd, numpy, clip"):
        for number in (signal.SIGTERM, signal.SIGINT):
            out = harness.new()
            child = harness.child(name, out, slow_steps)
            wait_for(out / "checkpoint.safetensors")
            time.sleep(harness.random.uniform(0, 0.3))
            slowest, done = max(slowest, child.end_after(number)), done + 1
            code = child.wait()
            good = code == 128 + number and "its state is saved" in child.messages
            harness.check(good, f"{name}: exit code {code} after signal {number}: {child.messages}")
            harness.finish(name, out, f"signal {number}", SINCE_RESUMED)
    # A step that does not end: the first signal waits for it, the second does not.
    for number in (signal.SIGTERM, signal.SIGINT):
        out = harness.new()
        child = harness.child("pcd", out, lambda: at_step(9, lambda: time.sleep(60)))
        wait_for(out / "history.jsonl", lambda path: path.stat().st_size > 0)
        time.sleep(0.2)
        child.signal(number)
        time.sleep(1.1)
        slowest, done = max(slowest, child.end_after(number)), done + 1
        code = child.wait()
        good = code == 128 + number and "stopped: at once" in child.messages
        harness.check(good, f"exit code {code} after a second signal {number}: {child.messages}")
        harness.finish("pcd", out, f"a second signal {number}")
    harness.check(slowest < LIMIT, f"{slowest:.1f} s from a signal to the end")
    return {"signals": done, "slowest_seconds": round(slowest, 3)}


def disks(harness: Harness) -> dict[str, Any]:
    name, done = "pcd", 0
    n_boundaries = harness.count_boundaries(name)
    for code in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES):

        def fail(_: str, code: int = code) -> None:
            raise OSError(code, os.strerror(code))

        for number in sorted(harness.random.sample(range(n_boundaries), 4)):
            out, what = harness.new(), f"{errno.errorcode[code]} from boundary {number} on"
            child = harness.child(name, out, lambda n=number, f=fail: watch(at_number(n, f, stay=True)))
            harness.one_error(child, child.wait(), what)
            harness.finish(name, out, what)
            done += 1
    for what, happen in {"files may not grow": forbid_growth, "unwritable": forbid_writing, "removed": remove}.items():
        out = harness.new()
        child = harness.child(name, out, lambda h=happen, o=out: at_step(9, lambda: h(o)))
        harness.one_error(child, child.wait(), what)
        if what == "removed":
            harness.check(not out.exists(), "a directory that was removed is back")
        else:
            out.chmod(0o755)
        harness.finish(name, out, what)
        done += 1
    return {"failures": done, "boundaries": n_boundaries}


def pairs(harness: Harness) -> dict[str, Any]:
    out, go = harness.new(), harness.folder / "go"
    first = harness.child("pcd", out, lambda: at_step(9, lambda: wait_for(go)))
    wait_for(out / "history.jsonl", lambda path: path.stat().st_size > 0)
    second = harness.child("pcd", out)
    harness.one_error(second, second.wait(), "a second process on one run")
    harness.check("one process at a time" in second.messages, second.messages)
    go.touch()
    harness.check(first.wait() == 0, f"the first of two processes failed: {first.messages}")
    harness.finish("pcd", out, "after a second process")
    # Both begin: one gets the name.
    rounds = 6
    for _ in range(rounds):
        out = harness.new()
        both = [harness.child("pcd", out) for _ in range(2)]
        codes = sorted(child.wait() for child in both)
        harness.check(codes in ([0, 1], [0, 0]), f"two that begin one run end with {codes}: {both[0].messages}")
        harness.finish("pcd", out, "two that began it")
    return {"pairs": 1 + rounds}


def at_step(number: int, act: Callable[[], Any]) -> None:
    """Let something happen in this process after a step of training."""
    show = TrainingProgress.step

    def step(self: TrainingProgress, done: int) -> None:
        show(self, done)
        if done == number:
            act()

    TrainingProgress.step = step  # type: ignore[method-assign]


def slow_steps() -> None:
    """Steps long enough for a signal to come between them."""
    show = TrainingProgress.step

    def step(self: TrainingProgress, done: int) -> None:
        show(self, done)
        time.sleep(0.05)

    TrainingProgress.step = step  # type: ignore[method-assign]


def forbid_growth(_: Path) -> None:
    """No file may become longer than 500 bytes: what a full disk is to the real system calls."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))


def forbid_writing(path: Path) -> None:
    path.chmod(0o500)
    if os.geteuid() == 0:  # permissions hold for everyone but root
        os.seteuid(65534)


def remove(path: Path) -> None:
    shutil.rmtree(path)


def wait_for(path: Path, ready: Callable[[Path], bool] = Path.exists) -> None:
    for _ in range(60_000):  # ten minutes, on a busy machine
        if path.exists() and ready(path):
            return
        time.sleep(0.01)
    raise TimeoutError(path)


def main(family: str, *arguments: str) -> int:
    seed = int(os.environ.get("HARMONIUM_FAULTS_SEED", "0"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        harness = Harness(Path(folder), seed)
        begun = time.monotonic()
        done = globals()[family](harness, *map(int, arguments))
        done |= {"seconds": round(time.monotonic() - begun, 1), "wrong": len(harness.wrong)}
    print(json.dumps({family: done}))
    print(*harness.wrong[:10], sep="\n", file=sys.stderr)
    return min(len(harness.wrong), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
