"""Reports of a run: one view, one writer a format."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.records import Run
from pytest_llmbench.redaction import redact_exact

if TYPE_CHECKING:
    from pytest_llmbench.reports.view import RunView


def _html(run: Run, shown: RunView | None) -> str:
    from pytest_llmbench.reports import html_report  # noqa: PLC0415 - only its writer: progress is shown without it

    return html_report.render(run, shown)


def _json(run: Run, shown: RunView | None) -> Iterator[str]:
    from pytest_llmbench.reports import json_report  # noqa: PLC0415 - as above

    return json_report.pieces(run, shown)


def _csv(run: Run, shown: RunView | None) -> str:
    from pytest_llmbench.reports import csv_report  # noqa: PLC0415 - as above

    return csv_report.render(run, shown)


def _markdown(run: Run, shown: RunView | None) -> str:
    from pytest_llmbench.reports import markdown_report  # noqa: PLC0415 - as above

    return markdown_report.render(run, shown)


def _samples(run: Run, _: RunView | None) -> str:
    from pytest_llmbench.reports import samples_csv  # noqa: PLC0415 - as above

    return samples_csv.render(run)


def _junit(run: Run, shown: RunView | None) -> str:
    from pytest_llmbench.reports import junit_report  # noqa: PLC0415 - as above

    return junit_report.render(run, shown)


def _benchmark(run: Run, _: RunView | None) -> str:
    from pytest_llmbench.reports import benchmark_json  # noqa: PLC0415 - as above

    return benchmark_json.render(run)


WRITERS: dict[str, Callable[[Run, RunView | None], str | Iterator[str]]] = {
    "html": _html,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "samples.csv": _samples,
    "junit": _junit,
    "benchmark.json": _benchmark,
}
"""Format → the function that makes its text, whole or piece by piece."""


_FILES = {"junit": "report.junit.xml"}


def file_name(fmt: str) -> str:
    """The usual name of a report: `report.html`, `report.junit.xml`."""
    return _FILES.get(fmt, f"report.{fmt}")


def write(run: Run, fmt: str, path: Path, shown: RunView | None = None) -> Path:
    """Write a report; under its name there is either the old file or the whole new one.

    Args:
        run: read back whole from the store.
        fmt: a key of `WRITERS`.
        path: the file; missing folders are made.
        shown: the run's view, where it was made already.

    Returns:
        The path.

    Raises:
        UsageError: no such format, or the file cannot be written there.
    """
    if fmt not in WRITERS:
        raise UsageError(f"no report format {fmt!r}{did_you_mean(fmt, WRITERS)}", hint=f"formats: {', '.join(WRITERS)}")
    made = WRITERS[fmt](run, shown)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, map(redact_exact, [made] if isinstance(made, str) else made))
    except OSError as error:
        raise UsageError(
            f"the report {path} cannot be written: {error.strerror or error}",
            hint="`llmbench report RUN -o FILE` writes it elsewhere; the run itself is stored",
        ) from error
    return path


def _replace(path: Path, pieces: Iterable[str]) -> None:
    temporary = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


__all__ = ["WRITERS", "file_name", "write"]
