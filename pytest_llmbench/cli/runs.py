"""`llmbench runs`: what the results database holds."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.consent import agreed
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.reports import terminal
from pytest_llmbench.store import Store


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[tuple[Store, Path]]:
    """The project's store and results folder; reading never makes an empty database.

    Raises:
        UsageError: nothing was ever stored there.
    """
    folder = project.resolved(arguments).results_dir
    path = folder / "results.db"
    if not path.exists():
        raise UsageError(f"no runs are stored in {folder}", hint="`llmbench run` makes one; or name --results-dir")
    store = Store.open(path)
    try:
        yield store, folder
    finally:
        store.close()


def list_runs(arguments: argparse.Namespace) -> int:
    """Print the runs, newest first."""
    with opened(arguments) as (store, _):
        runs = store.runs()
    if arguments.json:
        screen.show_json([_headers(run) for run in runs])
        return ExitCode.OK
    rows = [(run.id, _minute(run.started_at), _status(run), _revision(run), run.host.cpu_model) for run in runs]
    screen.show_table(("run", "started (UTC)", "exit code", "revision", "machine"), rows, cut=("revision", "machine"))
    return ExitCode.OK


def show(arguments: argparse.Namespace) -> int:
    """Print one run: where it ran, its summary, its outcomes."""
    with opened(arguments) as (store, folder):
        run = store.load_run(arguments.run).current()
    if arguments.json:
        screen.show_json(run.as_dict())
        return ExitCode.OK
    page = folder / "reports" / run.id / "report.html"
    screen.show_line(f"run {run.id}, started {run.started_at}, exit code {_status(run)}, revision {_revision(run)}")
    print()
    summary = terminal.summary(run, width=screen.width(), report_path=str(page) if page.exists() else None)
    for line in (*summary, *terminal.servers(run, width=screen.width())):
        screen.show_styled((text, terminal.MARKUP[style]) for text, style in line)
    return ExitCode.OK


def remove(arguments: argparse.Namespace) -> int:
    """Remove runs, their reports and logs; asks first."""
    with opened(arguments) as (store, folder):
        ids = list(dict.fromkeys(store.load_run(name).id for name in arguments.runs))
        if not (arguments.yes or agreed(f"remove {', '.join(ids)}")):
            print("nothing removed")
            return ExitCode.OK
        for run_id in ids:
            store.remove_run(run_id)
            for kept in ("reports", "logs"):
                shutil.rmtree(folder / kept / Path(run_id).name, ignore_errors=True)
            screen.show_line(f"removed {run_id}")
    return ExitCode.OK


def _headers(run: Run) -> dict[str, object]:
    whole = run.as_dict()
    return {key: whole[key] for key in ("id", "started_at", "finished_at", "exit_code", "host", "environment")}


def _minute(moment: str) -> str:
    """`2026-11-21 05:20` in UTC, of a time in ISO 8601; a text that is none stays as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def _status(run: Run) -> str:
    return "not finished" if run.exit_code is None else str(run.exit_code)


def _revision(run: Run) -> str:
    revision = str(run.environment.get("git_revision") or "–")[:12]
    return f"{revision} (changed)" if run.environment.get("git_dirty") else revision
