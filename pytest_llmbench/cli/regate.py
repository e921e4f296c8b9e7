"""`llmbench regate`: the gates as they are now, over a stored run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pytest_llmbench import reports
from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.reports import terminal
from pytest_llmbench.results.baseline_choice import chosen_or_why
from pytest_llmbench.results.gating import Rules
from pytest_llmbench.results.pages import Pages, pages_of
from pytest_llmbench.results.regating import Terms, regated


def regate(arguments: argparse.Namespace) -> int:
    """Decide, print, and write reports where they are wanted; the stored run stays as it is.

    Returns:
        The exit code that the run would have.

    Raises:
        UsageError: there is no such run, or it holds nothing under the paths.
    """
    resolved = project.resolved(arguments)
    formats = _formats(arguments, resolved)
    with opened(arguments) as (store, folder):
        run = _within(store.load_run(arguments.run), arguments.paths, resolved.rootdir)
    pages = pages_of(run, resolved.rootdir)
    _tell_lost(run, pages)
    settings = resolved.settings
    rules = Rules(
        gates=resolved.config.all_gates,
        pages=pages.rules,
        max_error_rate=settings.max_error_rate,
        compared=lambda run: chosen_or_why(resolved, run),
        floors=folder,
    )
    decided = regated(run, Terms(rules, pages, settings.inconclusive))
    for line in terminal.decision(decided, width=screen.width()):
        screen.show_styled((text, terminal.MARKUP[style]) for text, style in line)
    for fmt in formats:
        path = Path(arguments.output) if arguments.output else folder / "reports" / run.id / f"regated.{fmt}"
        screen.show_line(str(_written(decided, fmt, path)))
    return decided.exit_code or 0


def _formats(arguments: argparse.Namespace, resolved: Resolved) -> Sequence[str]:
    """The reports that are wanted: those that are named in the call, for a run's own say what the run decided."""
    if resolved.origins["report"].source != "--llmbench-report":
        formats: Sequence[str] = ("html",) if arguments.output else ()
    else:
        formats = [fmt for fmt in resolved.settings.report if fmt != "none"]
    if arguments.output and len(formats) != 1:
        raise UsageError(f"-o names one file, and there are {len(formats)} reports", hint="--report html -o FILE")
    return formats


def _within(run: Run, paths: Sequence[str], rootdir: Path) -> Run:
    """The part of a run whose tests lie in some files and folders; all of it where none are named."""
    if paths:
        wanted = [Path(path).absolute() for path in paths]
        files = {result.nodeid: (rootdir / result.nodeid.partition("::")[0]).absolute() for result in run.results}
        kept = [each for each in run.results if any(files[each.nodeid].is_relative_to(path) for path in wanted)]
        if not kept:
            folders = sorted({result.nodeid.partition("::")[0] for result in run.results})
            raise UsageError(
                f"run {run.id} holds no test in {', '.join(paths)}", hint=f"it holds those of: {', '.join(folders[:5])}"
            )
        run = dataclasses.replace(run, results=tuple(kept))
    return run.current()


def _tell_lost(run: Run, pages: Pages) -> None:
    for page, why in pages.unreadable.items():
        cases = {each.evaluation.use_case for each in run.results if each.evaluation and each.evaluation.page == page}
        lost = [gate.gate for gate in run.gates if gate.profile in cases]
        told = (
            f"its gates in that run, which cannot be decided: {'; '.join(lost)}"
            if lost
            else "the run has no gate of it"
        )
        screen.show_problem(f"{page} cannot be read any more ({why}); {told}")


def _written(run: Run, fmt: str, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return reports.write(run, fmt, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="-o names another file") from error
