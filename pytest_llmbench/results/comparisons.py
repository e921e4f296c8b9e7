"""Two runs side by side: every metric that both have, with interval, verdict and sentence; corrected over all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmbench.results import changes
from pytest_llmbench.results.baseline import Baseline, CaseBaseline, MeasuredBaseline
from pytest_llmbench.results.change_words import change_sentence
from pytest_llmbench.results.changes import Change
from pytest_llmbench.results.comparability import disturbed, matched, other_load, other_pace, other_served
from pytest_llmbench.results.worsening import NoiseFloor, Terms, least_margin
from pytest_llmbench.stats.corrections import holm
from pytest_llmbench.stats.sentences import Beside

ALPHA = 0.05
WORSE, BETTER, OPEN, NOT_COMPARED = "worse", "better", "no difference shown", "not compared"
_PAGES = 0.01
"""Peaks of memory differ by as much from start to start."""
_MEASURED = (
    "accuracy",
    "ttft_s",
    "decode_tps",
    "prompt_tps",
    "s_per_document",
    "cpu_s_per_token",
    "peak_rss_bytes",
)
"""Of measurements: the fewer are compared, the more each can show."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one model on one use case, or by one profile."""

    change: Change
    verdict: str
    sentence: str
    p_corrected: float | None = None
    """Two-sided; None: no test was made."""
    why: str = ""
    """Why it is not compared; empty where it is."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs have in common, and what they have not."""

    before: Baseline
    after: Baseline
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    """What a reader has to know: other machines, what only one of them has."""


def compared(
    before: Baseline,
    after: Baseline,
    *,
    unlike: bool = False,
    noise_floor: NoiseFloor = lambda _model, _metric: None,
) -> Comparison:
    """Compare two runs, or accepted ones.

    Args:
        before: what is compared with.
        after: what the verdicts are about.
        unlike: whether speed is to be compared even where machines or loads are not alike.
        noise_floor: of this machine: smaller changes of speed from session to session are no verdict.
    """
    sides = _Sides(before, after, unlike)
    found: list[tuple[Change, str]] = []
    for old, new in _cases(before.use_cases, after.use_cases):
        found += sides.of_cases(old, new)
    for old_one, new_one in _joined(matched(before.measurements, after.measurements)):
        found += sides.of_measured(old_one, new_one)
    return Comparison(
        before, after, tuple(_rows(found, before, Terms(noise_floor=noise_floor))), tuple(dict.fromkeys(sides.notes))
    )


class _Sides:
    """Both runs, and what has to be told of them."""

    def __init__(self, before: Baseline, after: Baseline, unlike: bool) -> None:
        self._unlike = unlike
        self._other_machine = "the machines are unlike" if before.machine.name != after.machine.name else ""
        self.notes: list[str] = ["both are the same run"] if before.run == after.run else []
        if self._other_machine:
            rest = "" if unlike else ": speed is not compared (--unlike compares it)"
            self.notes.append(f"the machines are unlike, {before.machine.name} and {after.machine.name}{rest}")

    def of_cases(self, old: CaseBaseline | None, new: CaseBaseline | None) -> Iterator[tuple[Change, str]]:
        known = new or old
        assert known is not None
        where = f"{known.use_case}, {known.model}"
        if old is None or new is None:
            self.notes.append(f"{where}: only in the {'first' if new is None else 'second'}")
            return
        if old.model != new.model:
            self.notes.append(f"{new.use_case}: {old.model} is compared with {new.model}")
        for metric in changes.case_metrics(new):
            if metric not in changes.case_metrics(old) or (metric == "score" and _says_the_same(old, new)):
                continue
            change = changes.of_case(metric, old, new)
            if change.told:
                self.notes.append(f"{where}: {change.told}")
            yield change, _why(change, "")

    def of_measured(self, old: MeasuredBaseline | None, new: MeasuredBaseline | None) -> Iterator[tuple[Change, str]]:
        known = new or old
        assert known is not None
        if old is None or new is None:
            self.notes.append(f"{known.profile}, {known.model}: only in the {'first' if new is None else 'second'}")
            return
        where = f"{new.profile}, {new.model}"
        if old.model != new.model:
            self.notes.append(f"{new.profile}: {old.model} is compared with {new.model}")
        elif served := other_served(old, new):
            self.notes.append(f"{where}: {served.replace(', which starts a new baseline', '')}")
        why = self._other_machine or other_load(old, new) or other_pace(old, new)
        have = [changes.measured_metrics(side) for side in (old, new)]
        for metric in (name for name in _MEASURED if all(name in each for each in have)):
            change = changes.of_measurement(metric, old, new)
            yield change, _why(change, self._refused(metric, why or disturbed(metric, old, new)))

    def _refused(self, metric: str, why: str) -> str:
        """Quality is compared whatever it runs on."""
        return why if changes.is_of_machine(metric) and not self._unlike else ""


def _rows(found: Sequence[tuple[Change, str]], before: Baseline, terms: Terms) -> Iterator[Row]:
    tested = [math.nan if why or change.exact else change.p_value for change, why in found]
    for (change, why), corrected in zip(found, holm(tested), strict=True):
        p_value = None if math.isnan(corrected) else corrected
        told = change_sentence(change, Beside("the first", "the second", p_value=p_value, correction="Holm"))
        least = least_margin(change, before, terms)[0]
        verdict = _verdict(change, p_value, why, least)
        if verdict == OPEN and p_value is not None and p_value < ALPHA:
            told += (
                f"; two sessions differ by up to {least:.0%} without any reason: `llmbench ab` measures both in turns"
            )
        yield Row(change, verdict, why or told, p_value, why)


def _verdict(change: Change, p_value: float | None, why: str, least: float) -> str:
    if why or change.value is None:
        return NOT_COMPARED
    shows = abs(change.value) > _PAGES if change.exact else p_value is not None and p_value < ALPHA
    if not shows or abs(change.value) <= least:
        return OPEN
    return WORSE if change.worse[0] > 0 else BETTER


def _joined(
    pairs: Sequence[tuple[MeasuredBaseline | None, MeasuredBaseline | None]],
) -> list[tuple[MeasuredBaseline | None, MeasuredBaseline | None]]:
    """With two models joined where each side has one by a profile that the other has not."""
    joined = [pair for pair in pairs if None not in pair]
    old = [one for one, other in pairs if other is None and one is not None]
    new = [other for one, other in pairs if one is None and other is not None]
    for profile in dict.fromkeys(each.profile for each in (*old, *new)):
        before, after = ([each for each in side if each.profile == profile] for side in (old, new))
        if len(before) == len(after) == 1:
            joined.append((before[0], after[0]))
        else:
            joined += [*((each, None) for each in before), *((None, each) for each in after)]
    return joined


def _cases(
    before: Sequence[CaseBaseline], after: Sequence[CaseBaseline]
) -> Iterator[tuple[CaseBaseline | None, CaseBaseline | None]]:
    """The same model on the same use case; where each side has one model that the other has not, those two."""
    for name in dict.fromkeys(case.use_case for case in (*before, *after)):
        old = {case.model: case for case in before if case.use_case == name}
        new = {case.model: case for case in after if case.use_case == name}
        yield from ((old[model], new[model]) for model in new if model in old)
        left = [old[model] for model in old if model not in new], [new[model] for model in new if model not in old]
        if len(left[0]) == len(left[1]) == 1:
            yield left[0][0], left[1][0]
        else:
            yield from ((case, None) for case in left[0])
            yield from ((None, case) for case in left[1])


def _says_the_same(*cases: CaseBaseline) -> bool:
    """Whether all scores are 1 of what passed and 0 of what did not: then the pass rate has said it."""
    rows = [row for case in cases for row in case.rows().values()]
    return all(row.value is None or (row.passed is not None and row.value == float(row.passed)) for row in rows)


def _why(change: Change, why: str) -> str:
    return why or ("nothing of it is the same in both" if change.value is None else "")
