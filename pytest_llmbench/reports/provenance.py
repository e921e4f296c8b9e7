"""Where what a report shows comes from, where that is not this run alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from pytest_llmbench.records import Run
from pytest_llmbench.results.costs import Costs
from pytest_llmbench.results.money import money
from pytest_llmbench.results.outcomes import NOT_ASKED
from pytest_llmbench.results.regating import REGATED


def provenance(run: Run, costs: Costs | None) -> tuple[str, ...]:
    """Sentences about replies that another run asked for, and gates that were decided later; most runs have none.

    Args:
        run: read back whole from the store.
        costs: of all of it; None where nothing has a price.
    """
    return (*_taken(run, costs), *_regated(run))


def _taken(run: Run, costs: Costs | None) -> Iterator[str]:
    source = run.settings.get("rejudge")
    if not source:
        return
    count = sum(reply.role == "subject" for reply in run.replies)
    paid = costs.subject.taken_over_usd if costs else "0"
    there = f", and so are their {money(Decimal(paid))}" if paid != "0" else ""
    yield (
        f"judged anew: {_counted(count, 'reply', 'replies')} of models under test come from run {source}, and nothing "
        f"was asked of them; times and tokens are of that run{there}"
    )
    judges = costs.judge.taken_over if costs else 0
    if judges:
        yield f"{_counted(judges, 'reply', 'replies')} of judges as well: that run asked them the very same"
    missing = sum(result.category == NOT_ASKED for result in run.results)
    if missing:
        yield f"skipped: {_counted(missing, 'test', 'tests')} of what was not asked in run {source}"


def _regated(run: Run) -> Iterator[str]:
    told = run.environment.get(REGATED)
    if isinstance(told, Mapping):
        before = told.get("exit_code_before")
        ended = "had not ended" if before is None else f"had ended with exit code {before}"
        yield f"gates decided anew at {told.get('at')}, by rules {told.get('rules')}; the run {ended}"


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
