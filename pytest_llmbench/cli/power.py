"""`llmbench power`: what so many samples would find, and how many a difference needs, before anything is spent."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.cli import screen
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.stats.power import MeanStudy, RateStudy, RatioStudy, Study, alpha_each, n_for, smallest_effect

_HEADS = ("n", "smallest difference found")
_USUAL = (20, 50, 100, 200, 500, 1000)
_ALPHA = 0.05
_GATE_ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class _Asked:
    study: Study
    about: str
    """What is compared, in words."""
    is_share: bool
    """Effects are differences of shares, told in points; else ratios or plain differences."""
    alpha: float
    """Two-sided, of one test."""
    power: float
    effect: float | None
    numbers: tuple[int, ...]
    is_ratio: bool = False


def power(arguments: argparse.Namespace) -> int:
    """Print what would be found.

    Raises:
        UsageError: a number is out of its range.
    """
    asked = _asked(arguments)
    needed = n_for(asked.study, asked.effect, asked.power) if asked.effect else None
    numbers = asked.numbers or (((needed,) if needed else ()) if asked.effect else _USUAL)
    rows = [_row(asked, n) for n in numbers]
    if arguments.json:
        told = {"kind": arguments.kind, "paired": not arguments.unpaired, "alpha": asked.alpha, "power": asked.power}
        screen.show_json({**told, "effect": asked.effect, "n_needed": needed, "rows": rows})
        return ExitCode.OK
    screen.show_line(
        f"{asked.about}; two-sided alpha {asked.alpha:.2g}, found in {100 * asked.power:.3g} % of the cases"
    )
    if asked.effect is not None:
        screen.show_line(_needed_text(asked, needed, paired=not arguments.unpaired))
    heads = (*_HEADS, f"chance to find {_size(asked, asked.effect)}") if asked.effect else _HEADS
    screen.show_table(heads, [_cells(asked, row) for row in rows])
    return ExitCode.OK


def _row(asked: _Asked, n: int) -> dict[str, float | None]:
    chance = asked.study.power_of(n, asked.effect) if asked.effect else None
    return {"n": n, "smallest_detectable": smallest_effect(asked.study, n, asked.power), "power": chance}


def _cells(asked: _Asked, row: Mapping[str, Any]) -> tuple[str, ...]:
    smallest = row["smallest_detectable"]
    cells = (str(row["n"]), "none" if smallest is None else _size(asked, smallest))
    return cells if row["power"] is None else (*cells, f"{row['power']:.1%}".replace("%", " %"))


def _needed_text(asked: _Asked, needed: int | None, *, paired: bool) -> str:
    size = _size(asked, asked.effect)
    if needed is None:
        return f"{size}: no number of samples finds that"
    each = "samples, asked of both" if paired and not asked.is_ratio else "pairs" if paired else "values on each side"
    return f"{size}: {needed} {each}"


def _size(asked: _Asked, effect: float | None) -> str:
    if effect is None:
        return ""
    if asked.is_ratio:
        return f"{100 * effect:.3g} %"
    return f"{100 * effect:.3g} points" if asked.is_share else f"{effect:.3g}"


def _asked(arguments: argparse.Namespace) -> _Asked:
    _check(arguments)
    gates, alpha = arguments.gates, arguments.alpha
    each = alpha_each(alpha or _GATE_ALPHA, gates) if gates else alpha or _ALPHA
    study, about = _study(arguments, each)
    together = f"; as one of {gates} gates" if gates else ""
    return _Asked(
        study,
        about + together,
        arguments.kind == "rate",
        each,
        arguments.power,
        arguments.effect,
        tuple(arguments.n),
        arguments.kind == "ratio",
    )


def _study(arguments: argparse.Namespace, alpha: float) -> tuple[Study, str]:
    paired = not arguments.unpaired
    how = "paired" if paired else "unpaired"
    if arguments.kind == "rate":
        differing = arguments.discordant
        expected = arguments.rate * (1 - arguments.rate) if differing is None else differing
        told = f", {100 * expected:.3g} % of the samples right in one and wrong in the other" if paired else ""
        study = RateStudy(arguments.rate, paired, differing, alpha)
        return study, f"pass rates about {100 * arguments.rate:.3g} %, {how}{told}"
    if arguments.kind == "mean":
        of = "of the differences" if paired else "of the values"
        return MeanStudy(arguments.deviation, paired, alpha), (
            f"means, {how}, standard deviation {of} {arguments.deviation:.3g}"
        )
    ratio = RatioStudy.of_cv(arguments.cv, paired=paired, correlation=arguments.correlation, alpha=alpha)
    return ratio, f"ratios of medians, {how}, noise of a single measurement {100 * arguments.cv:.3g} %"


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what no study has."""
    largest = 1.0 if arguments.kind == "rate" else math.inf
    inner = {"power": 1.0, "alpha": 1.0, "deviation": math.inf, "cv": math.inf, "effect": largest}
    for name, high in inner.items():
        value = getattr(arguments, name)
        if value is not None and not 0 < value < high:
            between = "between 0 and 1" if high == 1 else "above 0"
            raise UsageError(f"--{name} is {between}, not {value:g}", hint="a share is written as 0.05 or 5%")
    for name in ("rate", "discordant", "correlation"):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"--{name} is from 0 to 1, not {value:g}", hint="a share is written as 0.05 or 5%")
    effect, differing = arguments.effect, arguments.discordant
    if arguments.kind == "rate" and None not in (effect, differing) and not arguments.unpaired and differing < effect:
        raise UsageError(
            f"--discordant {differing:g} is less than --effect {effect:g}: rates differ by no more than samples do",
            hint="leave --discordant out, or give the share of samples that are right in one and wrong in the other",
        )
