"""`llmbench db`: the results database as a file that can be damaged."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from pytest_llmbench.cli import project, screen
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.store.check import Checkup
from pytest_llmbench.store.check import check as examine
from pytest_llmbench.store.salvage import Salvage, salvage
from pytest_llmbench.store.salvage import recover as replace


def check(arguments: argparse.Namespace) -> int:
    """Print what is in the database and what is wrong with it; changes nothing."""
    found = examine(_path(arguments))
    if arguments.json:
        screen.show_json(found.as_dict())
    else:
        for name, value in _facts(found):
            screen.show_line(f"{name:<10}{value}")
        for problem in found.problems:
            screen.show_line(f"problem   {problem}")
        screen.show_line(_verdict(found))
    return ExitCode.TESTS_FAILED if found.problems else ExitCode.OK


def recover(arguments: argparse.Namespace) -> int:
    """Save what can be read, in place of the damaged file or beside it."""
    path = _path(arguments)
    if arguments.to:
        saved, aside = salvage(path, Path(arguments.to)), None
    else:
        saved, aside = replace(path)
    if arguments.json:
        screen.show_json({**saved.as_dict(), "damaged_file": str(aside or path)})
        return ExitCode.OK
    screen.show_line(f"saved     {_counts(saved.rows)}")
    for line in _losses(saved):
        screen.show_line(line)
    screen.show_line(f"now in    {saved.target}")
    screen.show_line(f"damaged   {aside or path}, kept as it was")
    return ExitCode.OK


def _path(arguments: argparse.Namespace) -> Path:
    path = Path(arguments.file) if arguments.file else project.resolved(arguments).results_dir / "results.db"
    if not path.exists():
        raise UsageError(f"there is no {path}", hint="`llmbench run` makes one; or name the file, or --results-dir")
    return path


def _facts(found: Checkup) -> list[tuple[str, str]]:
    free = "" if found.free_bytes is None else f", {screen.size(found.free_bytes)} of it free"
    facts = [("file", found.path), ("size", f"{screen.size(found.size_bytes)}{free}")]
    if found.journal_bytes:
        facts.append(("journal", f"{screen.size(found.journal_bytes)} beside it: it is in use, or its user was killed"))
    if found.format_version:
        older = ", brought up to date when it is opened next" if found.is_older else ""
        facts.append(("format", f"{found.format_version}{older}"))
    if found.network:
        facts.append(("network", f"{found.network}: several writers are slow here; a local disk is better"))
    if found.rows:
        facts.append(("rows", _counts(found.rows)))
    if found.unfinished_runs:
        runs = found.unfinished_runs
        named = ", ".join(runs[:3]) + (", ..." if len(runs) > 3 else "")
        facts.append(("open runs", f"{len(runs)} (under way, or killed; --resume goes on with one): {named}"))
    return facts


def _verdict(found: Checkup) -> str:
    if not found.problems:
        return "sound"
    if not found.format_version:
        return "not sound: it cannot be read as a results database"
    return "not sound: `llmbench db recover` saves what can be read and puts this file aside"


def _losses(saved: Salvage) -> list[str]:
    lines = [f"dropped   {count} garbled or unattached rows of {table}" for table, count in saved.dropped.items()]
    if saved.headless_runs:
        lines.append(f"headless  {', '.join(saved.headless_runs)}: machine, settings and times were lost")
    return lines


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {table}" for table, count in rows.items())
