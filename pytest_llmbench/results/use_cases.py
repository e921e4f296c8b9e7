"""How models did on the use cases of a run: quality, outcomes, speed and price of the same calls, side by side.

A sample counts once for each model and prompt, however often it was asked (the trials of one sample say little more
than one) and by however many tests: any wrong one makes it wrong. What has no score is in no rate and counted by
itself. Samples of strata that were drawn unequally count by their weights. Samples
with damaged inputs are in none of it but the rows of robustness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pytest_llmbench.records import Outcome, Run, Score
from pytest_llmbench.results.asked_samples import Asked, by_case, share_or_none
from pytest_llmbench.results.calls import Batch, Calls, CallsOf
from pytest_llmbench.results.fronts import front
from pytest_llmbench.results.robustness import RobustRow, is_clean, robust_rows, robustness
from pytest_llmbench.results.variance import Variance, variance_of
from pytest_llmbench.stats import Estimate, score_estimate, share_estimate

TAG = "tag"
"""What tells slices by tags apart; others are told apart by a column."""
_MOST_VALUES = 40
"""Of a tag or column; one with more tells single samples apart."""
_MOST_NOTES = 20
_Value = TypeVar("_Value", bool, float)


@dataclass(frozen=True, slots=True)
class ValidatorRow:
    """What one validator said of one model's replies, of the deciding trial of each sample."""

    name: str
    pass_rate: Estimate | None
    """Of those that passed or failed."""
    score: Estimate | None
    """Mean of the values."""
    unscored: int
    """Samples of which it could not tell."""
    errors: int
    """Samples on which it failed itself."""
    executed: bool
    """Whether it ran something to find out."""
    disagreed: Estimate | None
    """Of a judge: how often it said otherwise than what was executed; None where it is none, or nothing was."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One model on a use case; times in seconds, speeds in tokens per second, prices in US dollars."""

    model: str
    prompt: str
    """The prompt's variant."""
    prompt_version: str
    prompt_mode: str
    n: int
    """Samples, skipped ones not among them."""
    not_asked: int
    """How many of those were not asked, since no money was left."""
    trials: int
    """Times that each was asked, at most."""
    stopped: int
    """Samples of which some trials were left out, as they could not change the verdict."""
    outcomes: Mapping[str, int]
    """Outcome → samples; skipped ones among them."""
    pass_rate: Estimate | None
    """right / (right + wrong); None where nothing passed or failed."""
    score: Estimate | None
    """Mean of the samples' scores."""
    calls: CallsOf
    """Speed and price of the calls that these come from."""
    executed: int
    """Samples on which something was executed to find out."""
    disagreed: Estimate | None
    """On how many of those a judge said otherwise."""
    validators: tuple[ValidatorRow, ...]
    on_cost_front: bool = False
    """No other is at least as good and cheaper, or as cheap and better."""
    on_speed_front: bool = False
    """The same for the median time to the whole answer."""
    robustness: Estimate | None = None
    """Share of the samples right without damage that stay right with it; None where none was asked with damage."""
    variance: Variance | None = None
    """Where scores vary; None where neither trials nor a panel tell it."""

    @property
    def name(self) -> str:
        """The model and, where it is another than `base`, the prompt's variant."""
        return named(self.model, self.prompt)

    @property
    def unanswered(self) -> int:
        """Samples that say nothing of the model."""
        told = {str(Outcome.RIGHT), str(Outcome.WRONG), str(Outcome.SKIPPED)}
        return sum(count for outcome, count in self.outcomes.items() if outcome not in told)

    def counted(self, outcome: str) -> int:
        """How many samples ended so."""
        return self.outcomes.get(str(outcome), 0)


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One model on the samples of a use case that share a tag or a value."""

    by: str
    """`tag`, or the column."""
    value: str
    model: str
    prompt: str
    n: int
    """Samples, skipped ones not among them."""
    pass_rate: Estimate | None
    score: Estimate | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that has to be known of some samples."""

    text: str
    count: int
    """Of how many, each model by itself."""


@dataclass(frozen=True, slots=True)
class CaseTable:
    """A use case and the models that were asked it."""

    name: str
    page: str
    title: str
    samples: int
    """Different ones."""
    stands_for: float
    """Samples of the data that those stand for, by their weights; as many as `samples` where all count the same."""
    quality: str
    """By what models are compared: `pass_rate`, or `score` where nothing passes or fails; empty: by nothing."""
    prompt_mode: str
    """`fair` (all were asked the same), `optimized`, or `mixed`."""
    rows: tuple[CaseRow, ...]
    """The best first."""
    slices: tuple[SliceRow, ...]
    notes: tuple[Note, ...]
    robustness: tuple[RobustRow, ...] = ()
    """How each model stood damage to its inputs; models in the order of `rows`."""

    @property
    def label(self) -> str:
        """What people call it."""
        return self.title or self.name


def named(model: str, prompt: str) -> str:
    """What a row is called."""
    return model if prompt in {"", "base"} else f"{model} · {prompt}"


def quality_of(table: CaseTable, row: CaseRow | SliceRow) -> Estimate | None:
    """By what a table compares its models."""
    return {"pass_rate": row.pass_rate, "score": row.score}.get(table.quality)


def tables(run: Run) -> tuple[CaseTable, ...]:
    """A table for each use case, in the order in which they came; none where the run has none."""
    cases = by_case(run.results)
    if not cases:
        return ()
    calls = Calls(run)
    return tuple(_table(asked, calls) for asked in cases)


def _table(asked: Sequence[Asked], calls: Calls) -> CaseTable:
    first, groups = asked[0].found, _grouped(asked)
    modes = {each.found.prompt_mode for each in asked}
    asked = [each for each in asked if is_clean(each)]
    rows = [_row(group, calls) for group in groups.values()]
    quality = "pass_rate" if any(row.pass_rate for row in rows) else "score" if any(row.score for row in rows) else ""
    weights = {each.found.sample: each.weight for each in asked}
    ordered = _best_first(rows, quality)
    if any(each.found.labelled for each in asked):  # who agrees most may follow a place or an order: no table tells
        ordered = [replace(row, on_cost_front=False, on_speed_front=False) for row in ordered]
    return CaseTable(
        name=first.use_case,
        page=first.page,
        title=first.title,
        samples=len(weights),
        stands_for=sum(weights.values()),
        quality=quality,
        prompt_mode=modes.pop() if len(modes) == 1 else "mixed",
        rows=tuple(ordered),
        slices=tuple(_slices(asked)),
        notes=_notes(asked),
        robustness=tuple(
            each for row in ordered for each in robust_rows(groups[row.model, row.prompt], calls, quality)
        ),
    )


def _row(asked: Sequence[Asked], calls: Calls) -> CaseRow:
    first, stood = asked[0], robustness(asked)
    asked = [each for each in asked if is_clean(each)]
    outcomes = Counter(each.outcome for each in asked)
    executed = [each for each in asked if each.found.executed]
    return CaseRow(
        model=first.model,
        prompt=first.found.prompt,
        prompt_version=first.found.prompt_version,
        prompt_mode=first.found.prompt_mode,
        n=len(asked) - outcomes[Outcome.SKIPPED],
        not_asked=sum(each.outcome == Outcome.OVER_BUDGET and not each.reply_ids for each in asked),
        trials=max((each.found.stopped_of or len(each.found.trials) for each in asked), default=1) or 1,
        stopped=sum(bool(each.found.stopped_of) for each in asked),
        outcomes=dict(outcomes),
        pass_rate=pass_rate_of((each.passed, each.weight, each.document) for each in asked),
        score=score_of((each.value, each.weight, each.document) for each in asked),
        calls=calls.of([Batch(each.reply_ids, each.test_keys, each.weight) for each in asked]),
        executed=len(executed),
        disagreed=share_estimate([bool(each.found.disagreements) for each in executed], _weights(executed)),
        validators=tuple(_validators(asked)),
        robustness=stood,
        variance=variance_of(asked),
    )


def pass_rate_of(verdicts: Iterable[tuple[bool | None, float, str]]) -> Estimate | None:
    """The share of good ones; (verdict, weight, document) of each sample, those without a verdict left out."""
    known = [(passed, weight, document) for passed, weight, document in verdicts if passed is not None]
    return share_estimate(*_columns(known))


def score_of(values: Iterable[tuple[float | None, float, str]]) -> Estimate | None:
    """The mean; (value, weight, document) of each sample, those without a value left out."""
    known = [(value, weight, document) for value, weight, document in values if value is not None]
    return score_estimate(*_columns(known))


def _columns(known: Sequence[tuple[_Value, float, str]]) -> tuple[list[_Value], list[float], list[str]]:
    return [value for value, _, _ in known], [weight for _, weight, _ in known], [document for *_, document in known]


def _weights(asked: Iterable[Asked]) -> list[float]:
    return [each.weight for each in asked]


def _validators(asked: Sequence[Asked]) -> Iterable[ValidatorRow]:
    named: dict[str, list[tuple[Score, Asked]]] = {}
    for each in asked:
        for score in each.found.scores:
            named.setdefault(score.name, []).append((score, each))
    return (_validator(name, said) for name, said in named.items())


def _validator(name: str, said: Sequence[tuple[Score, Asked]]) -> ValidatorRow:
    decided = [(score.passed, each) for score, each in said if score.passed is not None]
    valued = [(value, each) for score, each in said if (value := share_or_none(score.value)) is not None]
    states = Counter(score.state for score, _ in said)
    against = [each for score, each in said if each.found.executed and score.judged and score.passed is not None]
    return ValidatorRow(
        name=name,
        pass_rate=share_estimate([passed for passed, _ in decided], _weights(each for _, each in decided)),
        score=score_estimate([value for value, _ in valued], _weights(each for _, each in valued)),
        unscored=states["unscored"],
        errors=states["error"],
        executed=any(score.executed for score, _ in said),
        disagreed=share_estimate([name in each.found.disagreements for each in against], _weights(against)),
    )


def _best_first(rows: Sequence[CaseRow], quality: str) -> list[CaseRow]:
    good = [_value(row.pass_rate if quality == "pass_rate" else row.score) for row in rows]
    cheap = front([(one, _value(row.calls.cost_per_sample_usd)) for one, row in zip(good, rows, strict=True)])
    times = [_value(row.calls.e2e_s.p50 if row.calls.e2e_s else None) for row in rows]
    fast = front(list(zip(good, times, strict=True)))
    marked = [
        replace(row, on_cost_front=is_cheap, on_speed_front=is_fast)
        for row, is_cheap, is_fast in zip(rows, cheap, fast, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda place: -1 if (value := good[place]) is None else value, reverse=True)
    return [marked[place] for place in order]


def _value(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate else None


def _slices(asked: Sequence[Asked]) -> Iterator[SliceRow]:
    """By tags, then by columns; the values that most samples have first. What all samples share tells nothing."""
    for by in dict.fromkeys([TAG, *(column for each in asked for column in each.found.slices)]):
        having: dict[str, list[Asked]] = {}
        for each in asked:
            for value in each.found.tags if by == TAG else filter(None, [each.found.slices.get(by)]):
                having.setdefault(value, []).append(each)
        told = [(value, some) for value, some in having.items() if len(some) < len(asked)]
        for value, some in sorted(told, key=lambda pair: -len(pair[1]))[:_MOST_VALUES]:
            yield from _slice(by, value, some)


def _slice(by: str, value: str, asked: Sequence[Asked]) -> Iterator[SliceRow]:
    for (model, prompt), group in _grouped(asked).items():
        n = sum(1 for each in group if each.outcome != Outcome.SKIPPED)
        rate = pass_rate_of((each.passed, each.weight, each.document) for each in group)
        score = score_of((each.value, each.weight, each.document) for each in group)
        yield SliceRow(by, value, model, prompt, n, rate, score)


def _grouped(asked: Iterable[Asked]) -> dict[tuple[str, str], list[Asked]]:
    groups: dict[tuple[str, str], list[Asked]] = {}
    for each in asked:
        groups.setdefault((each.model, each.found.prompt), []).append(each)
    return groups


def _notes(asked: Iterable[Asked]) -> tuple[Note, ...]:
    counted = Counter(note for each in asked for note in each.found.notes)
    return tuple(Note(text, count) for text, count in counted.most_common(_MOST_NOTES))
