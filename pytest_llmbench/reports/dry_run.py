"""What `--dry-run` prints: calls, tokens, cost and time to be expected."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmbench.asker.estimates import Estimate, ModelEstimate, PassedOn
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.cells import cell_width, clipped, one_line, wrapped
from pytest_llmbench.reports.terminal_lines import Line
from pytest_llmbench.results.money import money

_COLUMNS = (("calls", 8), ("prompt tok", 12), ("answer tok", 12), ("expected", 11), ("at most", 11), ("time", 13))
"""Heads of the table and the cells each takes."""
_TABLE_WIDTH = sum(cells for _, cells in _COLUMNS)


def lines(estimate: Estimate, *, width: int = 80, tests: int, unplanned: int, later: int = 0) -> list[Line]:
    """The estimate as styled lines; see `terminal.MARKUP`.

    Args:
        estimate: of all questions that are known.
        width: columns of the terminal, at least 72.
        tests: how many tests of ours were selected.
        unplanned: how many of them may ask something that is only known once they run.
        later: how many calls more the others make at least, which depend on answers.
    """
    width = max(width, _TABLE_WIDTH)
    return [
        [("dry run  ", "dim"), (f"nothing was asked; {_count(tests, 'test')} would run", "bold")],
        *_table(estimate, width),
        *([(part, style)] for text, style in _remarks(estimate, unplanned, later) for part in wrapped(text, width)),
    ]


def _table(estimate: Estimate, width: int) -> Iterator[Line]:
    if not estimate.models:
        return
    yield [("".join(head.rjust(cells) for head, cells in _COLUMNS), "dim")]
    for model in estimate.models:
        yield [(clipped(one_line(model.model), width), "bold")]
        yield [(_row(model), "")]
        for text in (_known(model), model.basis if model.calls else "", model.unknown):
            yield from ([(f"  {part}", "dim")] for part in wrapped(one_line(text), width - 2))
    if len(estimate.models) > 1:
        yield [("all models", "bold")]
        yield [(_total(estimate), "")]


def _row(model: ModelEstimate) -> str:
    return _cells(
        f"{model.calls:,}",
        f"{model.prompt_tokens:,}",
        f"{model.completion_tokens:,}",
        money(model.expected_usd),
        money(model.worst_usd),
        figures.duration(model.seconds),
    )


def _total(estimate: Estimate) -> str:
    return _cells(
        f"{estimate.calls:,}",
        f"{sum(model.prompt_tokens for model in estimate.models):,}",
        f"{sum(model.completion_tokens for model in estimate.models):,}",
        money(estimate.expected_usd),
        money(estimate.worst_usd),
        figures.duration(estimate.seconds),
    )


def _cells(*texts: str) -> str:
    padded = (" " * (cells - cell_width(text)) + text for text, (_, cells) in zip(texts, _COLUMNS, strict=True))
    return "".join(padded)


def _known(model: ModelEstimate) -> str:
    parts = (
        (model.stored, "stored already"),
        (model.replayed, "answered by the cassette"),
        (model.cached, "answered by the cache"),
        (model.pending, "with a batch API already"),
        (model.missed, "missing in the cassette: each an infra error"),
    )
    return " · ".join(f"{count:,} {what}" for count, what in parts if count)


def _remarks(estimate: Estimate, unplanned: int, later: int) -> Iterator[tuple[str, str]]:
    if estimate.batch and estimate.calls:
        yield "batch APIs: half the price, and up to 24 hours instead of the time above", ""
    if unplanned:
        ask = "asks only while it runs" if unplanned == 1 else "ask only while they run"
        yield f"{_count(unplanned, 'test')} {ask} (`model`, `bench`, `judge`): not counted", "warn"
    if later:
        calls = _count(later, "call")
        yield f"and at least {calls} more (later turns of stories, cut inputs put together): not counted", "warn"
    if estimate.passed_on is not None:
        yield _passed_on(estimate, estimate.passed_on), "warn"
    if estimate.cap_usd is not None:
        yield from _against(estimate, later)


def _passed_on(estimate: Estimate, more: PassedOn) -> str:
    """The dearest way through routes."""
    passed = f"if every question to a route falls back to the last of its models ({_count(more.calls, 'call')})"
    if more.worst_usd is None:
        return f"nobody knows how much more {passed}: {more.unknown}"
    in_all = "" if estimate.dearest_usd is None else f": {money(estimate.dearest_usd)} in all"
    return f"at most {money(more.worst_usd)} more {passed}{in_all}"


def _against(estimate: Estimate, later: int) -> Iterator[tuple[str, str]]:
    cap, expected, worst = estimate.cap_usd, estimate.expected_usd, estimate.worst_usd
    told = f"budget {money(cap)}: "
    if cap is None or expected is None:
        yield told + "the cost is not known, and what has no price is refused under a budget", "bad"
    elif expected > cap:
        yield told + "less than the expected cost; what is left over ends as over budget", "bad"
    elif worst is None or worst > cap:
        yield told + "enough for the expected cost, not for the longest answers", "warn"
    elif estimate.dearest_usd is None or estimate.dearest_usd > cap:
        yield told + "enough for the longest answers, not if every question to a route falls back", "warn"
    elif later:
        yield told + "enough for the longest answers to the calls that are counted", "warn"
    else:
        yield told + "enough for the longest answers", "good"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
