"""`llmbench report`: a report of a stored run."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_llmbench import reports
from pytest_llmbench.cli import screen
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.reports.view import RunView, view
from pytest_llmbench.results.summaries import summaries
from pytest_llmbench.results.trends import trends


def report(arguments: argparse.Namespace) -> int:
    """Write the report, to a file or to standard output."""
    with opened(arguments) as (store, folder):
        run = store.load_run(arguments.run).current()
        shown = view(run)
        if arguments.format == "html":
            shown = replace(shown, trends=trends(store, run, summaries(run, shown.use_cases)))
    if arguments.output == "-":
        _print(run, arguments.format, shown)
        return ExitCode.OK
    usual = folder / "reports" / run.id / reports.file_name(arguments.format)
    path = Path(arguments.output).expanduser() if arguments.output else usual
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", hint="-o names the file to write; - is standard output")
    if arguments.output and not path.parent.exists():
        raise UsageError(
            f"{path} cannot be written: there is no folder {path.parent}",
            hint="make it first, or correct what -o names",
        )
    screen.show_line(str(_written(run, arguments.format, path, shown)))
    return ExitCode.OK


def _written(run: Run, fmt: str, path: Path, shown: RunView) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return reports.write(run, fmt, path, shown)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="-o names another file") from error


def _print(run: Run, fmt: str, shown: RunView) -> None:
    with TemporaryDirectory() as folder:
        page = reports.write(run, fmt, Path(folder) / reports.file_name(fmt), shown)
        sys.stdout.flush()
        with page.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
