"""Where what a report shows comes from, where that is not this run alone, or not the model that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from pytest_llmbench.records import Run
from pytest_llmbench.results.costs import Costs
from pytest_llmbench.results.money import money
from pytest_llmbench.results.outcomes import NOT_ASKED
from pytest_llmbench.results.regating import REGATED
from pytest_llmbench.results.served import cautions


def provenance(run: Run, costs: Costs | None) -> tuple[str, ...]:
    """Sentences about replies that were asked for earlier, models that changed, gates that were decided later; most
    runs have none.

    Args:
        run: read back whole from the store.
        costs: of all of it; None where nothing has a price.
    """
    return (*cautions(run), *_taken(run, costs), *_cached(run), *_regated(run))


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


def _cached(run: Run) -> Iterator[str]:
    for role, whose, says in _CACHED_OF:
        replies = [reply for reply in run.replies if reply.role == role]
        days = sorted(reply.cost.paid_at[:_DAY] for reply in replies if reply.is_cached)
        if days:
            when = f"on {days[0]}" if days[0] == days[-1] else f"from {days[0]} to {days[-1]}"
            yield (
                f"{len(days):,} of {_counted(len(replies), 'reply', 'replies')} of {whose} come from the response "
                f"cache, asked first {when}: {says}, and have no times"
            )


_DAY = len("2026-11-22")
_CACHED_OF = (
    ("subject", "models under test", "they are no new evidence about the models"),
    ("judge", "judges", "they are no new verdicts"),
)


def _regated(run: Run) -> Iterator[str]:
    told = run.environment.get(REGATED)
    if isinstance(told, Mapping):
        before = told.get("exit_code_before")
        ended = "had not ended" if before is None else f"had ended with exit code {before}"
        yield f"gates decided anew at {told.get('at')}, by rules {told.get('rules')}; the run {ended}"


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
