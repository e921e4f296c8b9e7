"""`llmbench report`: a report of a stored run."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_llmbench import reports
from pytest_llmbench.cli import screen
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.records import Run


def report(arguments: argparse.Namespace) -> int:
    """Write the report, to a file or to standard output."""
    with opened(arguments) as (store, folder):
        run = store.load_run(arguments.run).current()
    if arguments.output == "-":
        _print(run, arguments.format)
        return ExitCode.OK
    usual = folder / "reports" / run.id / f"report.{arguments.format}"
    path = Path(arguments.output).expanduser() if arguments.output else usual
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", hint="-o names the file to write; - is standard output")
    if arguments.output and not path.parent.exists():
        raise UsageError(
            f"{path} cannot be written: there is no folder {path.parent}",
            hint="make it first, or correct what -o names",
        )
    screen.show_line(str(_written(run, arguments.format, path)))
    return ExitCode.OK


def _written(run: Run, fmt: str, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return reports.write(run, fmt, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="-o names another file") from error


def _print(run: Run, fmt: str) -> None:
    with TemporaryDirectory() as folder:
        page = reports.write(run, fmt, Path(folder) / f"report.{fmt}")
        sys.stdout.flush()
        with page.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
