"""What an answer took and cost, in a line; and a whole session, by model, in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from textwrap import shorten

from pytest_llmbench.chat.asking import Answer
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.chat.speaking import ROLE
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import InfraError, OverBudgetError
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.records import FailedAttempt, Reply, Run
from pytest_llmbench.reports.figures import duration, speed
from pytest_llmbench.results.costs import Ledger, cost_words
from pytest_llmbench.results.retries import asked_again

HEADS = ("model", "answers", "tokens in", "out", "first token", "tok/s", "cost", "cached", "retries", "failed")
_UNUSUAL = {"length": "cut at the longest answer", "content_filter": "stopped by a filter"}
_GAP = 2
_UNKNOWN = "–"
_TELLING_S = 0.05
"""What came within a shorter time tells how it was handed on, and not how fast it was written."""
_SHOWN = 100
"""Characters of a question that was asked in other words."""


def line_of(reply: Reply) -> str:
    """`1.2 s · first token 0.31 s · 45 tok/s · 12 + 80 tokens · $0.0012`: what is known of it."""
    return " · ".join([*_origin(reply), *_times(reply), *_counts(reply), *_price(reply)])


def trouble_of(answer: Answer) -> str:
    """Why there is no answer, and what can be done."""
    error, came = answer.error, f"; {len(answer.text)} characters had come" if answer.text else ""
    if answer.state is State.CUT:
        return f"cut{came}"
    if isinstance(error, OverBudgetError):
        return f"{error.message}\n  hint: raise --max-cost or `budget:` of llmbench.yaml, or lower --max-tokens"
    kind = f"{error.category}: " if isinstance(error, InfraError) else ""
    broke = " and are no whole answer" if came else ""
    return f"{kind}{error}{came}{broke}"


def rows_of(run: Run) -> list[tuple[str, ...]]:
    """How a session went, a row a model; under `HEADS`."""
    replies = [reply for reply in run.replies if reply.role == ROLE]
    names = dict.fromkeys([*(reply.model for reply in replies), *(each.model for each in run.failed_attempts)])
    costs = Ledger(run).by_model()
    return [
        _row(
            name,
            [reply for reply in replies if reply.model == name],
            [attempt for attempt in run.failed_attempts if attempt.model == name],
            costs[name].total.words if name in costs else "",
        )
        for name in names
    ]


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Rows under heads as lines, the first column to the left, the others to the right.

    Where so many characters are too few: each row's first cell, and below it a line for each other that is known.
    """
    table = list(_table(heads, rows))
    if max(map(len, table)) <= width:
        yield from table
        return
    widest = max(map(len, heads[1:]))
    for first, *others in rows:
        yield first
        for head, cell in zip(heads[1:], others, strict=True):
            if cell != _UNKNOWN:
                yield f"{' ' * _GAP}{head.ljust(widest)}{' ' * _GAP}{cell}"


def spent_in(run: Run) -> str:
    """What the session has cost so far, in words; empty where nothing that was asked has a price."""
    ledger = Ledger(run)
    return ledger.of_run().total.words if ledger.is_shown else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (" " * _GAP).join([first, *others]).rstrip()


def _row(name: str, replies: Sequence[Reply], failed: Sequence[FailedAttempt], cost: str) -> tuple[str, ...]:
    measured = [call_metrics(reply.timing, reply.usage) for reply in replies if not reply.is_cached]
    cached = sum(reply.is_cached for reply in replies)
    kinds = Counter(attempt.category for attempt in failed)
    return (
        name,
        str(len(replies)),
        _total(reply.usage.prompt_tokens for reply in replies),
        _total(reply.usage.completion_tokens for reply in replies),
        duration(_middle(each.get("ttft_s") for each in measured)),
        speed(_middle(_decode_tps(reply) for reply in replies if not reply.is_cached)),
        cost or _UNKNOWN,
        str(cached) if cached else _UNKNOWN,
        str(asked_again(replies, failed) or _UNKNOWN),
        ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or _UNKNOWN,
    )


def _origin(reply: Reply) -> Iterator[str]:
    if reply.alike is not None:
        asked = terminal_safe(" ".join(reply.alike.question.split()))
        yield f"from the cache, where it answers {shorten(asked, _SHOWN)!r} (cosine {reply.alike.cosine:.2f})"
    elif reply.is_cached:
        yield "from the cache"
    if reply.attempts > 1:
        yield f"{reply.attempts} tries"
    if (unusual := _UNUSUAL.get(reply.finish_reason)) is not None:
        yield unusual


def _times(reply: Reply) -> Iterator[str]:
    if reply.is_cached:
        return
    metrics = call_metrics(reply.timing, reply.usage)
    if "e2e_s" in metrics:
        yield duration(metrics["e2e_s"])
    if reply.streamed and "ttft_s" in metrics:
        yield f"first token {duration(metrics['ttft_s'])}"
    if (tokens_per_second := _decode_tps(reply)) is not None:
        yield f"{speed(tokens_per_second)} tok/s"


def _decode_tps(reply: Reply) -> float | None:
    """None where too little was streamed to tell it."""
    first_s, last_s = reply.timing.ttft_s, reply.timing.last_token_s
    if first_s is None or last_s is None or last_s - first_s < _TELLING_S:
        return None
    return call_metrics(reply.timing, reply.usage).get("decode_tps")


def _counts(reply: Reply) -> Iterator[str]:
    usage = reply.usage
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        yield f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"


def _price(reply: Reply) -> Iterator[str]:
    if words := cost_words(reply.model, reply.cost):
        yield words


def _total(counts: Iterable[int | None]) -> str:
    known = [count for count in counts if count is not None]
    return f"{sum(known):,}" if known else _UNKNOWN


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
