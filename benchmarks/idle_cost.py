"""What the plugin costs a project that does not use it: `pytest --collect-only` with and without, alternating.

Prints medians of user+system CPU time and of wall time, and their difference. The budget is 15 ms.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

ROUNDS = 25
SUITE = "def test_nothing():\n    pass\n"
OTHERS = sorted({entry.name for entry in entry_points(group="pytest11")} - {"llmbench"})
QUIET = tuple(word for name in OTHERS for word in ("-p", f"no:{name}"))
"""Other plugins of this environment would only add noise."""

VARIANTS = {"with": QUIET, "without": (*QUIET, "-p", "no:llmbench")}


def timed(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of one collection."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text(SUITE)
        for round_ in range(ROUNDS + 1):
            for variant in sorted(VARIANTS, reverse=bool(round_ % 2)):
                sample = timed(folder, VARIANTS[variant])
                if round_:
                    samples[variant].append(sample)
    for index, what in enumerate(("CPU", "wall")):
        with_us, without = (statistics.median(s[index] for s in samples[v]) for v in ("with", "without"))
        print(
            f"{what:4}  with {with_us * 1e3:6.1f} ms  without {without * 1e3:6.1f} ms  "
            f"added {(with_us - without) * 1e3:5.1f} ms  ratio {with_us / without:.3f}  (medians of {ROUNDS})"
        )


if __name__ == "__main__":
    main()
