"""How long a page of a whole matrix takes to open in Chromium, and how large it is.

Writes the report of 20, 100 and 500 results (models × quantizations × five profiles, made up) and opens each several
times, a fresh browser context a time. Told are the medians of: writing it; the browser's `load` event after the
navigation began; the moment at which the pictures that can be seen are drawn and the tables can be sorted.
The promise is under 2 s for 500.

    python benchmarks/report_open.py                 five times each
    python benchmarks/report_open.py --times 9 --keep FOLDER    the pages stay there
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from pytest_llmbench import reports
from pytest_llmbench.records import Run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the made-up runs of our own tests
import report_matrix

SIZES = {20: (1, 4), 100: (5, 4), 500: (25, 4)}
"""Results → (models, quantizations); each with five profiles."""
PROMISED_S = 2.0
READY = """() => {
    const isDrawn = box => box.closest('details:not([open])') || box.querySelector('svg');
    const isSeen = box => box.getBoundingClientRect().top < innerHeight;
    const boxes = [...document.querySelectorAll('[data-chart]')];
    return boxes.filter(isSeen).every(isDrawn) && document.querySelector('.tabulator-row') !== null;
}"""


def made(models: int, quants: int) -> Run:
    """A run of so many configurations with all profiles."""
    names = {f"model-{chr(97 + number)}": 135e6 * (1 + number / 3) for number in range(models)}
    return report_matrix.matrix_run(names, list(report_matrix.QUANTS)[:quants], left_out=False)


def opened(browser: Browser, page_file: Path) -> tuple[float, float]:
    """(seconds until the `load` event, seconds until everything in sight is drawn)."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(page_file.as_uri(), wait_until="load")
    page.wait_for_function(READY, polling=10)
    drawn = time.perf_counter() - started
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
    context.close()
    return loaded, drawn


def measured(browser: Browser, results: int, folder: Path, times: int) -> float:
    """One line for the page of so many results; the median of the time until everything is drawn."""
    run = made(*SIZES[results])
    started = time.perf_counter()
    path = reports.write(run, "html", folder / f"report-{results}.html")
    written = time.perf_counter() - started
    found = [opened(browser, path) for _ in range(times)]
    loaded, drawn = (statistics.median(each) for each in zip(*found, strict=True))
    size = path.stat().st_size / 2**20
    print(
        f"{results:4} results {size:5.1f} MiB, written in {written:5.2f} s, "
        f"loaded after {loaded:5.2f} s, drawn after {drawn:5.2f} s (n = {times}, "
        f"slowest {max(each for _, each in found):.2f} s)",
        flush=True,
    )
    return drawn


def main() -> int:
    """Print a line for each size; 1 where the largest page took longer than is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the pages")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium: install Debian's `chromium`", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = arguments.keep or Path(scratch)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        drawn = [measured(browser, results, folder, arguments.times) for results in SIZES]
        browser.close()
    return int(drawn[-1] > PROMISED_S)


if __name__ == "__main__":
    sys.exit(main())
