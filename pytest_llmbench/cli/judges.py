"""`llmbench judge`: hold judges against labels of people, and look at what is kept of that."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pytest_llmbench.cli import project, run, screen
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ExitCode, UsageError, did_you_mean
from pytest_llmbench.judges.standing import shortfall
from pytest_llmbench.options import BY_NAME
from pytest_llmbench.own_tests import CALIBRATION
from pytest_llmbench.records import JudgeCalibration

_TAKE_A_VALUE = frozenset({"-c", "-k", "-m", "-n", "-o", "-p", "-r", "-W"})
"""Options of pytest and xdist with a value behind them."""
_CHOOSES = re.compile(r"-[km]|--(?:deselect|lf|last-failed|sw|stepwise)\b")
"""Options of pytest that choose among tests."""
_HEADS = ("judge", "rubric", "version", "asked as", "labels", "agreement", "kappa", "at", "standing")


def calibrate(words: Sequence[str]) -> int:
    """Run the calibrations of files and folders in this process, and keep what they show; returns pytest's exit status.

    Raises:
        UsageError: none is named, or a folder holds none.
    """
    found: list[str] = []
    is_named = False
    for before, word in pairwise(["", *words]):
        path = None if word.startswith("-") or _takes_a_value(before) else Path(word)
        if path is not None and path.is_dir():
            found += _below(path)
        else:
            found.append(word)
        is_named = is_named or path is not None
    if not is_named:
        raise UsageError(
            "`llmbench judge calibrate` wants to know what to hold judges against",
            hint=f"name a file (*{CALIBRATION}), or a folder with some",
        )
    if chooses := next((word for word in words if _CHOOSES.match(word) or "::" in word), None):
        screen.show_line(f"{chooses} leaves labels out: nothing is kept of a calibration by some of them")
        return run.run(found)
    return run.run([f"{BY_NAME['keep_calibrations'].flag}=true", *found])


def list_(arguments: argparse.Namespace) -> int:
    """Print what is kept."""
    kept = _kept(arguments)
    if arguments.json:
        screen.show_json([_told(each, arguments) for each in kept])
        return ExitCode.OK
    if not kept:
        where = shown(project.resolved(arguments).calibrations_dir)
        screen.show_line(f"no calibration of a judge is kept in {where}; `llmbench judge calibrate PATH` keeps some")
        screen.show_line("those of another project are shown by --rootdir FOLDER, the one that pytest calls rootdir")
        return ExitCode.OK
    screen.show_table(_HEADS, [_row(each, arguments) for each in kept], cut=("standing",))
    return ExitCode.OK


def show(arguments: argparse.Namespace) -> int:
    """Print all that is kept of one judge.

    Raises:
        UsageError: nothing is.
    """
    kept = _kept(arguments)
    found = [each for each in kept if each.judge == arguments.judge]
    if not found:
        names = sorted({each.judge for each in kept})
        raise UsageError(
            f"no calibration of {arguments.judge!r} is kept in {shown(project.resolved(arguments).calibrations_dir)}"
            f"{did_you_mean(arguments.judge, names)}",
            hint="`llmbench judge list` shows all; --rootdir FOLDER looks into another project",
        )
    if arguments.json:
        screen.show_json([_told(each, arguments) for each in found])
        return ExitCode.OK
    for number, each in enumerate(found):
        if number:
            print()
        screen.show_table(("", ""), list(_facts(each, arguments)))
    return ExitCode.OK


def _takes_a_value(word: str) -> bool:
    return (word.startswith("--") and "=" not in word) or word in _TAKE_A_VALUE


def _below(folder: Path) -> list[str]:
    found = sorted(
        path
        for path in folder.rglob(f"*{CALIBRATION}")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise UsageError(f"there is no *{CALIBRATION} in {shown(folder)}")
    return list(map(str, found))


def _kept(arguments: argparse.Namespace) -> list[JudgeCalibration]:
    from pytest_llmbench.evaluations.calibrations import read_all  # noqa: PLC0415 - slow to import

    return read_all(project.resolved(arguments).calibrations_dir)


def _why(each: JudgeCalibration, arguments: argparse.Namespace) -> str:
    wanted = project.resolved(arguments).config.judges
    value, low, high = each.kappa or (None, None, None)
    return shortfall(each.n, value, low, high, labels=wanted.labels, floor=wanted.kappa, canaries=each.canaries)


def _told(each: JudgeCalibration, arguments: argparse.Namespace) -> dict[str, object]:
    return {**each.as_dict(), "advises_because": _why(each, arguments)}


def _row(each: JudgeCalibration, arguments: argparse.Namespace) -> tuple[str, ...]:
    why = _why(each, arguments)
    return (
        each.judge,
        each.rubric,
        each.rubric_hash[:8],
        each.request_hash[:8],
        f"{each.n:,}",
        _bounded(each.agreement),
        _bounded(each.kappa),
        each.at[:16].replace("T", " "),
        f"advises: {why}" if why else "counts",
    )


def _facts(each: JudgeCalibration, arguments: argparse.Namespace) -> list[tuple[str, str]]:
    why = _why(each, arguments)
    counted = {
        "passes the good": f"{each.sensitivity[0]:,} of {each.sensitivity[1]:,}",
        "fails the bad": f"{each.specificity[0]:,} of {each.specificity[1]:,}",
    }
    leans = {
        "first place (0.5: no lean)": each.position,
        "flips of pairs": each.flips,
        "length (0: no lean)": each.length,
        "own family (0: no lean)": each.family,
    }
    return [
        ("judge", each.judge),
        ("standing", f"advises: {why}" if why else "counts"),
        ("rubric", f"{each.rubric} {each.rubric_hash}"),
        ("asked as", each.request_hash),
        ("labels", f"{each.n:,} with a verdict, {each.unusable:,} without; sha256 {each.labels_hash}"),
        ("agreement", _bounded(each.agreement)),
        ("always the same", "–" if each.baseline is None else f"{each.baseline:.2f}"),
        ("kappa", _bounded(each.kappa)),
        *counted.items(),
        ("planted orders", f"obeys {each.canaries[0]:,} of {each.canaries[1]:,}"),
        *((name, _bounded(lean)) for name, lean in leans.items()),
        ("run", f"{each.run}, {each.at}"),
    ]


def _bounded(bounded: Sequence[float | None] | None) -> str:
    value, low, high = bounded or (None, None, None)
    if value is None:
        return "–"
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"
