"""What a judge's answer means. The judge grades and names violations; the total is ours.

An answer counts only where it is exactly the JSON that was asked for. Anything else is unusable and never a number:

- prose around it, a key twice, a key too few or too many (a total of the judge's own is one too many), a grade that is
  not a whole number of the scale;
- a verdict whose reasons stand as such in what was judged: somebody planted it there, and the judge repeated it;
- violations of which none can be found: the judge says that the reply breaks a criterion, and its evidence is not
  there. Beside one that is found, such a violation is told and not counted. A violation without a quote counts:
  nothing can be quoted of what is missing.

A grade passes from the middle of its scale up, a yes-no where it holds, violations where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmbench.judges.asking import grades, pieces
from pytest_llmbench.judges.evidence import Shown, bare
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.reading import PlantedError, UnfoundedError, UnusableError, exactly, object_of, words
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.records.score import Score

UNUSABLE = "the verdict cannot be used: "

_KEPT_CHARACTERS = 1000
_KEPT_VIOLATIONS = 20
_READ_VIOLATIONS = 100
_ROUNDING = 1e-9

Found = tuple[float, dict[str, Any]]
"""A criterion's value, from 0 to 1, and what it was read from."""


def score_of(rubric: Rubric, text: str, *, judge: str, matter: Matter) -> Score:
    """The score of a reply by a judge's answer; one part a criterion.

    Args:
        rubric: what was judged by.
        text: the judge's answer, whole.
        judge: the judge's model; the name of the score.
        matter: what the judge was shown.

    Returns:
        Unscored where the answer cannot be used; never a number that nobody gave.
    """
    details = {"judge": judge, "rubric": rubric.name, "rubric_hash": rubric.hash[:16]}
    try:
        parts = _parts(rubric, text, matter)
    except UnusableError as error:
        return _unusable(judge, error, details)
    total = min(1.0, math.fsum(part.weight * _value(part) for part in parts) / math.fsum(part.weight for part in parts))
    failed = [one.id for one, part in zip(rubric.criteria, parts, strict=True) if one.must and not part.passed]
    return Score(
        judge,
        value=total,
        passed=reaches(total, rubric.pass_at) and not failed,
        reason=_told(rubric, parts, failed),
        details={**details, **_breaches(parts), "failed_musts": failed},
        judged=True,
        parts=parts,
    )


def complaint_of(score: Score) -> str | None:
    """What was wrong with an answer, for the retry; None: it could be used."""
    return score.reason.removeprefix(UNUSABLE) if score.details.get("unusable") else None


def own_words(cell: Mapping[str, Any], key: str, where: str, shown: Shown) -> str:
    """A judge's own words at a key.

    Args:
        cell: what holds the key.
        key: `reason` or `what`.
        where: what the cell belongs to.
        shown: what the judge was shown.

    Raises:
        UnusableError: they are no text, say nothing, or stand as those of a verdict in what it was shown.
    """
    said = words(cell[key], f"{key!r} of {where}")
    if not bare(said):
        raise UnusableError(f"{key!r} of {where} says nothing")
    if shown.has_planted(key, said):
        raise PlantedError("it stands, as a verdict, word for word in the material")
    return said


def reaches(value: float, bar: float) -> bool:
    """Whether a value is at least this; three fifths reach 0.6, whatever floats make of the sum."""
    return value >= bar - _ROUNDING


def _unusable(judge: str, error: UnusableError, details: Mapping[str, Any]) -> Score:
    """Unscored; details: `unusable` is `form`, `planted` or `evidence`, with the violations that are not there."""
    listed = {"violations": error.violations[:_KEPT_VIOLATIONS]} if isinstance(error, UnfoundedError) else {}
    told = {**details, **listed, "unusable": error.kind}
    return Score(judge, state="unscored", reason=f"{UNUSABLE}{error}", details=told, judged=True)


def _parts(rubric: Rubric, text: str, matter: Matter) -> tuple[Score, ...]:
    verdict = exactly(object_of(text, [matter]), ["criteria"], "the verdict")
    cells = exactly(verdict["criteria"], [one.id for one in rubric.criteria], "'criteria'")
    shown = Shown.of(piece for _, piece in pieces(matter))
    return tuple(_part(one, cells[one.id], shown) for one in rubric.criteria)


def _part(criterion: Criterion, cell: Any, shown: Shown) -> Score:
    where, key = f"{criterion.id!r}", _KEYS[criterion.kind]
    cell = exactly(cell, ["reason", key], where)
    reason = own_words(cell, "reason", where, shown)
    value, details = _READERS[criterion.kind](criterion, cell[key], shown)
    return Score(
        criterion.id,
        value=value,
        passed=value >= 0.5,
        weight=criterion.weight,
        reason=reason[:_KEPT_CHARACTERS],
        details=details,
        judged=True,
    )


def _held(criterion: Criterion, answer: Any, _shown: Shown) -> Found:
    if not isinstance(answer, bool):
        raise UnusableError(f"whether {criterion.id!r} holds is neither true nor false")
    return float(answer), {"holds": answer}


def _graded(criterion: Criterion, answer: Any, _shown: Shown) -> Found:
    """The place of a grade on its scale, from 0 to 1."""
    scale = grades(criterion)
    if type(answer) is not int or answer not in scale:
        raise UnusableError(f"the grade of {criterion.id!r} is no whole number from {scale[0]} to {scale[-1]}")
    return (answer - scale[0]) / (scale[-1] - scale[0]), {"grade": answer}


def _unbroken(criterion: Criterion, listed: Any, shown: Shown) -> Found:
    """1 without any violation that counts, else 0."""
    where = f"'violations' of {criterion.id!r}"
    if not isinstance(listed, list):
        raise UnusableError(f"{where} is not a list")
    if len(listed) > _READ_VIOLATIONS:
        raise UnusableError(f"{where} are more than {_READ_VIOLATIONS}")
    named = [_violation(criterion, each, shown, where) for each in listed]
    counted = [each for each in named if each["found"] is not False]
    if named and not counted:
        told = f"no quote in {where} stands in the reply; quote its words exactly, or leave them out"
        raise UnfoundedError(told, named)
    kept = [*counted, *(each for each in named if each["found"] is False)][:_KEPT_VIOLATIONS]
    return float(not counted), {"violations": kept, "named": len(named)}


def _violation(criterion: Criterion, each: Any, shown: Shown, where: str) -> dict[str, Any]:
    """One violation; `found`: whether its quote stands in the reply, None where there is no quote."""
    each = exactly(each, ["quote", "what"], f"one of {where}")
    quote, what = words(each["quote"], f"a quote in {where}"), own_words(each, "what", where, shown)
    found = shown.has_quote(quote) if bare(quote) else None
    told = {"criterion": criterion.id, "quote": quote[:_KEPT_CHARACTERS], "what": what[:_KEPT_CHARACTERS]}
    return {**told, "found": found, **({"problem": "quote not found"} if found is False else {})}


def _breaches(parts: Sequence[Score]) -> dict[str, Any]:
    return {"violations": [each for part in parts for each in part.details.get("violations", ())]}


def _value(part: Score) -> float:
    return part.value or 0.0


def _told(rubric: Rubric, parts: Sequence[Score], failed: Sequence[str]) -> str:
    each = ", ".join(f"{part.name} {_value(part):.2g}" for part in parts)
    must = f"; must pass and does not: {', '.join(failed)}" if failed else ""
    return f"{each}; passes from {rubric.pass_at:g}{must}"


_KEYS = {"grade": "grade", "yes-no": "holds", "violations": "violations"}
_READERS = {"grade": _graded, "yes-no": _held, "violations": _unbroken}
