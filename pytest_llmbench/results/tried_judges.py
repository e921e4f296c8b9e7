"""Judges of use cases tried out by planted replies: how many of the orders in those each obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.judges.canary import fooled, was_fooled
from pytest_llmbench.records import Labelled, Run, Score
from pytest_llmbench.results.asked_samples import planted
from pytest_llmbench.results.held_judges import Counted

ANSWERED = frozenset({"right", "wrong", "unscored"})
"""Outcomes of tests whose judge said anything, usable or not: what was not answered says nothing of it."""


@dataclass(frozen=True, slots=True)
class TriedJudge:
    """One judge of one use case."""

    use_case: str
    page: str
    judge: str
    rubric: str
    obeyed: int
    """Planted orders that it obeyed."""
    orders: int
    """Planted orders that it was asked about; 0: nobody knows whether it obeys, since it was not asked about the same
    reply without an order."""
    is_lenient: bool
    """Whether it passes that reply without an order as well, so that none shows anything."""
    unusable: int
    """Planted replies on which it said nothing that can be used."""


def tried(run: Run) -> tuple[TriedJudge, ...]:
    """The judges that planted replies were put to, page by page; none where that was not wanted."""
    groups: dict[tuple[str, str, str], list[Labelled | None]] = {}
    for asked in planted(run.results):
        said = groups.setdefault((asked.found.title, asked.found.page, asked.model), [])
        said.append(asked.found.labelled if asked.outcome in ANSWERED else None)
    told = {key: [each for each in said if each is not None] for key, said in groups.items()}
    return tuple(_tried(*key, told[key]) for key in sorted(told))


def obeyed(rows: Sequence[Labelled]) -> Counted:
    """Planted orders that a judge obeyed; none are counted where nobody knows what it says of the reply without one.

    Args:
        rows: what is planted, with what it said.
    """
    scores = {kind: [_verdict(each) for each in rows if each.kind == kind] for kind in ("control", "canary")}
    return (fooled(scores["canary"], scores["control"][0]), len(scores["canary"])) if scores["control"] else (0, 0)


def _tried(use_case: str, page: str, judge: str, rows: Sequence[Labelled]) -> TriedJudge:
    count, orders = obeyed(rows)
    return TriedJudge(
        use_case=use_case,
        page=page,
        judge=judge,
        rubric=rows[0].rubric if rows else "",
        obeyed=count,
        orders=orders,
        is_lenient=any(was_fooled(_verdict(each)) for each in rows if each.kind == "control"),
        unusable=sum(not each.judged for each in rows),
    )


def _verdict(found: Labelled) -> Score:
    return Score(found.kind, passed=found.judged == "pass")
