"""What plugins cost a project that does not use them: ours, and beside it pytest-benchmark and deepeval.

`pytest --collect-only` of one empty test with exactly one plugin of the environment and with none, alternating. Prints
medians of user+system CPU time and of wall time, what a plugin adds, and what `python -X importtime` says of importing
its module once pytest is there. Our budget is 15 ms.

    python benchmarks/idle_cost.py            ours and pytest-benchmark, which the dev extra holds
    python benchmarks/idle_cost.py --peers    deepeval too, all in a fresh environment made for it (some 200 MB)
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUITE = "def test_nothing():\n    pass\n"
SHOWN = ("llmbench", "benchmark", "deepeval")
LIST_PLUGINS = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({e.name: e.value for e in m.entry_points(group='pytest11')}))"
)


def environment(folder: Path) -> str:
    """A Python with us and the peers, made now."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT), "pytest-benchmark", "deepeval"], check=True, stderr=subprocess.DEVNULL)
    return python


def timed(python: str, folder: Path, arguments: list[str]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of one collection."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [python, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def import_cost(python: str, module: str) -> tuple[float, int]:
    """Milliseconds and number of modules that importing `module` adds to an interpreter that has pytest."""
    done = subprocess.run(
        [python, "-X", "importtime", "-c", f"import pytest; import {module}"],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line][1:]
    names = [row[2].strip() for row in rows]
    new = rows[names.index("pytest") + 1 :]
    return sum(int(row[0]) for row in new) / 1e3, len(new)


def measured(python: str, rounds: int) -> None:
    plugins: dict[str, str] = json.loads(subprocess.check_output([python, "-c", LIST_PLUGINS], text=True))
    off = {name: [word for other in plugins if other != name for word in ("-p", f"no:{other}")] for name in plugins}
    variants = {"none": [word for name in plugins for word in ("-p", f"no:{name}")]}
    variants |= {name: off[name] for name in SHOWN if name in plugins}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text(SUITE)
        for round_ in range(rounds + 1):
            for variant in sorted(variants, reverse=bool(round_ % 2)):
                sample = timed(python, folder, variants[variant])
                if round_:
                    samples[variant].append(sample)
    medians = {v: [statistics.median(s[i] for s in samples[v]) * 1e3 for i in (0, 1)] for v in variants}
    print(f"plugin        CPU ms   added   wall ms   added   ratio   import ms  modules   (medians of {rounds})")
    for variant, (cpu, wall) in medians.items():
        bare_cpu, bare_wall = medians["none"]
        tail = ""
        if variant != "none":
            imports = [import_cost(python, plugins[variant]) for _ in range(5)]
            tail = f"{statistics.median(ms for ms, _ in imports):10.1f} {imports[0][1]:8d}"
        print(
            f"{variant:12}{cpu:8.1f}{cpu - bare_cpu:8.1f}{wall:10.1f}{wall - bare_wall:8.1f}"
            f"{wall / bare_wall:8.3f}  {tail}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="make an environment with deepeval in it")
    parser.add_argument("--rounds", type=int, default=25)
    chosen = parser.parse_args()
    if not chosen.peers:
        measured(sys.executable, chosen.rounds)
        return
    with tempfile.TemporaryDirectory() as name:
        measured(environment(Path(name) / "venv"), chosen.rounds)


if __name__ == "__main__":
    main()
