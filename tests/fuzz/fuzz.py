"""The fuzz targets for as long as there is time: ``python tests/fuzz/fuzz.py SECONDS [WORD...]``.

With Atheris, the coverage of the package leads the search; without it (not every Python has it), inputs are drawn at
random. A target is a process of its own, and what it has done is one line of JSON. The input of a failure is kept in
``build/fuzz``, and ``python tests/fuzz/fuzz.py --replay TARGET FILE`` tries it again; the process fails.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "build" / "fuzz"
TARGETS = re.findall(r"^def (test_\w+)\(", (HERE / "test_fuzz.py").read_text(), re.MULTILINE)
LONGEST = 8192  # bytes, from which Hypothesis draws one input


def target_named(name: str) -> Any:
    import test_fuzz

    return getattr(test_fuzz, name).hypothesis.fuzz_one_input


def led_by_coverage(name: str, seconds: int) -> None:
    import atheris

    target = target_named(name)
    for function in gc.get_objects():  # an editable package has a loader of its own, past which Atheris does not see
        if isinstance(function, types.FunctionType) and str(function.__module__).startswith("harmonium"):
            atheris.instrument_func(function)
    with tempfile.TemporaryDirectory() as corpus:
        source = random.Random(0)
        for number in range(50):
            (Path(corpus) / str(number)).write_bytes(source.randbytes(2 ** (6 + number % 7)))
        options = [f"-max_total_time={seconds}", "-timeout=600", "-rss_limit_mb=4096", f"-max_len={LONGEST}"]
        options += ["-len_control=0", "-print_final_stats=1", f"-artifact_prefix={KEPT}/{name}-"]
        atheris.Setup([name, *options, corpus], target)
        atheris.Fuzz()


def at_random(name: str, seconds: int) -> None:
    target, source, end, done = target_named(name), random.Random(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = source.randbytes(LONGEST)
        try:
            target(content)
        except BaseException:
            (KEPT / f"{name}-failed").write_bytes(content)
            raise
        done += 1
    print(f"stat::number_of_executed_units: {done}", file=sys.stderr)


def main(seconds: str, *words: str) -> int:
    led, failed = importlib.util.find_spec("atheris") is not None, 0
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in TARGETS:
        if not all(word in name for word in words):
            continue
        begun = time.monotonic()
        command = [sys.executable, __file__, "--led" if led else "--at-random", name, seconds]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        covered = re.findall(r"\bcov: (\d+)", done.stderr)
        line = {"target": name, "led_by_coverage": led, "executed": int(executed[1]) if executed else None}
        line |= {"places_covered": int(covered[-1])} if covered else {}
        print(json.dumps(line | {"seconds": round(time.monotonic() - begun), "failed": done.returncode}), flush=True)
        if done.returncode:
            failed = 1
            print(done.stdout[-3000:], done.stderr[-6000:], file=sys.stderr)
    return failed


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--led", name, seconds]:
            led_by_coverage(name, int(seconds))
        case ["--at-random", name, seconds]:
            at_random(name, int(seconds))
        case ["--replay", name, path]:
            target_named(name)(Path(path).read_bytes())
        case words:
            sys.exit(main(*words))
