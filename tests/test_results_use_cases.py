"""Tables of models for use cases: what counts, how sure it is, and what is best for its price."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
import report_runs
import report_use_cases
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.records import (
    Cost,
    Evaluation,
    FailedAttempt,
    Outcome,
    Reply,
    Run,
    Score,
    TestResult,
    Trial,
    Usage,
)
from pytest_llmbench.results.fronts import front
from pytest_llmbench.results.use_cases import CaseRow, tables
from pytest_llmbench.stats import wilson

MODEL = "lab/mini"


def a_run(results: Sequence[TestResult], replies: Sequence[Reply] = (), failed: Sequence[FailedAttempt] = ()) -> Run:
    """A run of nothing but these."""
    base = report_runs.passed_run()
    return dataclasses.replace(
        base, results=tuple(results), replies=tuple(replies), measurements=(), gates=(), failed_attempts=tuple(failed)
    )


def one(
    sample: str, outcome: Outcome, *, model: str = MODEL, replies: tuple[str, ...] = (), test: str = "", **more: object
) -> TestResult:
    """A test of a sample; `more` is of its evaluation."""
    verdict = {Outcome.RIGHT: True, Outcome.WRONG: False}.get(outcome)
    found = Evaluation(**{"use_case": "c", "sample": sample, "page": "c/USE-CASE.md", "passed": verdict, **more})  # type: ignore[arg-type]
    made = report_use_cases.result(found, model, str(outcome), replies)
    return dataclasses.replace(made, key=made.key + test, nodeid=made.nodeid + test)


def only_row(run: Run) -> CaseRow:
    """The one model of the one use case."""
    [table] = tables(run)
    [row] = table.rows
    return row


def test_what_has_no_score_is_counted_by_itself_and_in_no_rate() -> None:
    """An infra error is not a wrong answer, and not a sample of the pass rate."""
    kinds = [Outcome.RIGHT] * 6 + [Outcome.WRONG] * 2 + [Outcome.INFRA_ERROR, Outcome.UNSCORED, Outcome.SKIPPED]
    row = only_row(a_run([one(str(n), kind, value=0.5) for n, kind in enumerate(kinds)]))
    assert row.pass_rate is not None
    assert (row.pass_rate.value, row.pass_rate.n) == (0.75, 8)
    assert (row.pass_rate.low, row.pass_rate.high) == (wilson(6, 8).low, wilson(6, 8).high)
    assert (row.n, row.unanswered, row.counted(Outcome.INFRA_ERROR), row.counted(Outcome.SKIPPED)) == (10, 2, 1, 1)
    assert row.score is not None
    assert row.score.n == 8


def test_what_is_only_measured_has_a_score_and_no_pass_rate() -> None:
    """Nothing could be wrong: 100 % right would be a lie. Models are then compared by their scores."""
    [table] = tables(a_run([one(str(n), Outcome.RIGHT, passed=None, value=0.4) for n in range(5)]))
    [row] = table.rows
    assert row.pass_rate is None
    assert row.score is not None
    assert (row.score.value, table.quality) == (pytest.approx(0.4), "score")


def test_an_assertion_without_validators_counts_for_the_pass_rate() -> None:
    """A test in Python beside a page that declares none."""
    row = only_row(a_run([one("a", Outcome.RIGHT, passed=None), one("b", Outcome.WRONG, passed=None)]))
    assert row.pass_rate is not None
    assert (row.pass_rate.value, row.score) == (0.5, None)


def test_several_tests_of_one_sample_are_one_sample_and_any_wrong_one_decides() -> None:
    """The page's own test passed, the assertion in Python failed."""
    row = only_row(
        a_run(
            [
                one("a", Outcome.RIGHT, value=1.0),
                one("a", Outcome.WRONG, passed=True, value=1.0, test="::mine"),
                one("b", Outcome.SKIPPED),
                one("b", Outcome.RIGHT, test="::mine"),
            ]
        )
    )
    assert (row.n, dict(row.outcomes)) == (2, {"wrong": 1, "right": 1})


def test_trials_of_a_sample_are_no_samples() -> None:
    """Three times the same question say little more than once."""
    trials = tuple(Trial(1.0, passed=True) for _ in range(3))
    row = only_row(a_run([one(str(n), Outcome.RIGHT, value=1.0, trials=trials) for n in range(4)]))
    assert row.pass_rate is not None
    assert (row.n, row.trials, row.pass_rate.n) == (4, 3, 4)


def test_each_variant_of_the_prompt_has_a_row_and_the_best_comes_first() -> None:
    """Else the better one would be hidden in the mean of both."""
    made = [one(str(n), Outcome.WRONG, prompt="base") for n in range(3)]
    made += [one(str(n), Outcome.RIGHT, prompt="short", prompt_mode="optimized") for n in range(3)]
    [table] = tables(a_run(made))
    assert [row.name for row in table.rows] == ["lab/mini · short", "lab/mini"]
    assert (table.samples, table.prompt_mode) == (3, "mixed")


def test_pages_of_the_same_name_are_different_use_cases() -> None:
    """In two folders."""
    made = [one("a", Outcome.RIGHT, page="x/USE-CASE.md"), one("a", Outcome.WRONG, page="y/USE-CASE.md")]
    assert [table.page for table in tables(a_run(made))] == ["x/USE-CASE.md", "y/USE-CASE.md"]


def test_weights_of_strata_are_kept_to() -> None:
    """Half of the samples are of a stratum that is a tenth of the data."""
    made = [one(f"rare {n}", Outcome.WRONG, weight=1.0) for n in range(10)]
    made += [one(f"common {n}", Outcome.RIGHT, weight=9.0) for n in range(10)]
    [table] = tables(a_run(made))
    assert table.rows[0].pass_rate is not None
    assert table.rows[0].pass_rate.value == pytest.approx(0.9)
    assert (table.samples, table.stands_for) == (20, 100)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("value", [7.0, -1.0, float("nan")])
def test_numbers_that_cannot_be_are_not_believed(weight: float, value: float) -> None:
    """A database may hold anything; a report is made all the same."""
    score = Score("v", value=value, passed=True)
    made = [one(str(n), Outcome.RIGHT, weight=weight, value=value, scores=(score,)) for n in range(3)]
    row = only_row(a_run(made))
    assert row.pass_rate is not None
    assert (row.pass_rate.value, row.score, row.validators[0].score) == (1.0, None, None)


def test_speed_and_price_are_those_of_the_calls_that_were_scored() -> None:
    """Not those of judges; and what is slow at the start of a text counts as it was measured."""
    run = report_use_cases.triage_run(12, models=(report_use_cases.MODELS[1],))
    judged = [dataclasses.replace(each, id=f"judge {each.id}", role="judge") for each in run.replies]
    results = [
        dataclasses.replace(result, reply_ids=(*result.reply_ids, *(f"judge {id_}" for id_ in result.reply_ids)))
        for result in run.results
    ]
    row = only_row(dataclasses.replace(run, results=tuple(results), replies=(*run.replies, *judged)))
    n, times = len(run.replies), sorted(reply.timing.ttft_s or 0 for reply in run.replies)
    assert row.calls.ttft_s is not None
    assert (row.calls.replies, row.calls.ttft_s.p50.value) == (n, times[(n - 1) // 2])
    assert row.calls.cost_per_sample_usd is not None
    spent = sum(Decimal(reply.cost.usd) for reply in run.replies)
    assert row.calls.cost_per_sample_usd.value == pytest.approx(float(spent / n))
    assert (row.calls.costs.subject.calls, row.calls.costs.judge.calls) == (n, n)


def _priced(*costs: Cost, failed: Sequence[Cost] = ()) -> CaseRow:
    """A row of one sample for each cost; what failed belongs to the first."""
    replies = [Reply("x", MODEL, cost=cost, id=str(n)) for n, cost in enumerate(costs)]
    made = [one(str(n), Outcome.RIGHT, replies=(str(n),)) for n in range(len(costs))]
    attempts = [
        FailedAttempt(MODEL, "h", 1, "timeout", "", "", "2026-11-21", cost=cost, test_key=made[0].key)
        for cost in failed
    ]
    return only_row(a_run(made, replies, attempts))


def test_a_sample_whose_cost_nobody_told_is_not_free() -> None:
    """The mean is over the others; of none it is unknown."""
    some, none = _priced(Cost("0.2", "billed"), Cost()), _priced(Cost(), Cost())
    assert some.calls.cost_per_sample_usd is not None
    assert (some.calls.cost_per_sample_usd.value, some.calls.cost_per_sample_usd.n) == (0.2, 1)
    assert some.calls.costs.total.words == "$0.20 + 1 unknown"
    assert (none.calls.cost_per_sample_usd, none.calls.costs.total.words) == (None, "unknown")


def test_what_failed_is_part_of_the_price_and_makes_it_unknown_where_it_is() -> None:
    """An attempt that broke off was billed, too."""
    billed = _priced(Cost("0.2", "billed"), failed=[Cost("0.1", "billed")])
    unknown = _priced(Cost("0.2", "billed"), failed=[Cost()])
    assert billed.calls.cost_per_sample_usd is not None
    assert billed.calls.cost_per_sample_usd.value == pytest.approx(0.3)
    assert unknown.calls.cost_per_sample_usd is None


def test_a_replayed_call_has_the_price_of_its_recording_and_cost_nothing() -> None:
    """Models can be compared by price from a cassette; nothing was spent."""
    row = _priced(Cost("0.2", "replayed"), Cost("", "replayed"))
    assert row.calls.cost_per_sample_usd is not None
    assert (row.calls.cost_per_sample_usd.value, row.calls.cost_per_sample_usd.n) == (0.2, 1)
    assert row.calls.costs.total.words == "$0 (replayed)"


def test_a_model_of_this_machine_is_free_only_where_somebody_says_so() -> None:
    """Else it has no price: nobody knows what the electricity cost."""
    free = _priced(Cost("0", "free"))
    assert free.calls.cost_per_sample_usd is not None
    assert free.calls.cost_per_sample_usd.value == 0
    local = Reply("x", "smollm2-135m:Q4_1", id="0", usage=Usage(10, 5))
    row = only_row(a_run([one("a", Outcome.RIGHT, model="smollm2-135m:Q4_1", replies=("0",))], [local]))
    assert (row.calls.cost_per_sample_usd, row.calls.costs.total.calls) == (None, 0)


def test_slices_are_told_by_tag_and_column_and_not_where_all_samples_share_them() -> None:
    """`support` is a tag of the use case: it tells nothing apart."""
    [table] = tables(report_use_cases.triage_run(12, models=report_use_cases.MODELS[:2]))
    assert list(dict.fromkeys((row.by, row.value) for row in table.slices)) == [
        ("tag", "english"),
        ("tag", "german"),
        ("difficulty", "easy"),
        ("difficulty", "medium"),
        ("difficulty", "hard"),
    ]
    assert [row.n for row in table.slices if row.value == "german"] == [4, 4]


def test_a_column_of_different_values_is_told_by_the_most_frequent_ones() -> None:
    """Forty of them: a column of ids is no slice."""
    [table] = tables(a_run([one(str(n), Outcome.RIGHT, slices={"id": str(n)}) for n in range(300)]))
    assert len(table.slices) == 40


def test_judges_are_held_against_what_was_executed() -> None:
    """How often, over the samples on which something was executed."""
    made = [
        one(
            str(n),
            Outcome.RIGHT,
            executed=n < 8,
            disagreements=("looks",) if n < 2 else (),
            scores=(
                Score("run", value=1.0, passed=True, executed=True),
                Score("looks", value=0.0, passed=n >= 2, judged=True),
            ),
        )
        for n in range(10)
    ]
    row = only_row(a_run(made))
    assert row.disagreed is not None
    assert (row.executed, row.disagreed.value, row.disagreed.n) == (8, 0.25, 8)
    executed, looks = row.validators
    assert (executed.executed, executed.disagreed) == (True, None)
    assert looks.disagreed is not None
    assert looks.disagreed.value == 0.25


def test_a_validator_that_fails_itself_is_counted_and_lowers_nothing() -> None:
    """Neither does one that cannot tell."""
    scores = [
        Score("v", value=1.0, passed=True),
        Score("v", state="error", reason="no"),
        Score("v", state="unscored", reason="no time was measured"),
    ]
    made = [one(str(n), Outcome.RIGHT, scores=(score,)) for n, score in enumerate(scores)]
    [validator] = only_row(a_run(made)).validators
    assert validator.pass_rate is not None
    assert (validator.pass_rate.value, validator.pass_rate.n, validator.errors, validator.unscored) == (1.0, 1, 1, 1)


def test_a_run_without_use_cases_has_no_tables() -> None:
    assert tables(report_runs.mixed_run()) == ()


def test_what_nothing_beats_is_on_the_front() -> None:
    """Cheaper and as good wins over dearer and as good; an unknown price is on no front."""
    points = [(0.9, 1.0), (0.9, 2.0), (0.5, 0.1), (0.4, 0.2), (1.0, None), (None, 0.01), (0.9, 1.0)]
    assert front(points) == [True, False, True, False, False, False, True]


@given(st.lists(st.tuples(st.none() | st.floats(0, 1), st.none() | st.floats(0, 10)), max_size=12))
def test_every_known_point_is_on_the_front_or_beaten_by_one_that_is(
    points: list[tuple[float | None, float | None]],
) -> None:
    """And no point of the front is beaten by another."""
    on_front = front(points)
    best = [point for point, is_on in zip(points, on_front, strict=True) if is_on]
    for point, is_on in zip(points, on_front, strict=True):
        if None in point:
            assert not is_on
        else:
            assert is_on is not any(_beats(other, point) for other in best)
    assert not any(_beats(a, b) for a, b in itertools.permutations(best, 2))


def _beats(a: tuple[float | None, float | None], b: tuple[float | None, float | None]) -> bool:
    (good, price), (other_good, other_price) = a, b
    assert None not in (good, price, other_good, other_price)
    return good >= other_good and price <= other_price and a != b  # type: ignore[operator]


def test_models_are_best_for_their_price_and_speed() -> None:
    """A cheap one that is as good as a dear one beats it."""
    chance = random.Random(1)
    dear, cheap, _, _ = report_use_cases.MODELS
    replies = [report_use_cases.reply(f"{model}{n}", model, "x", chance) for model in (dear, cheap) for n in range(5)]
    made = [
        one(str(n), Outcome.RIGHT, model=model, replies=(f"{model}{n}",)) for model in (dear, cheap) for n in range(5)
    ]
    [table] = tables(a_run(made, replies))
    assert {row.model: row.on_cost_front for row in table.rows} == {dear: False, cheap: True}


def test_samples_of_one_document_count_for_what_they_tell() -> None:
    """Five documents with eight questions each, all right or all wrong: surer of neither than of five."""
    made = [
        one(str(n), Outcome.RIGHT if n // 8 != 2 else Outcome.WRONG, slices={"document": f"{n // 8}"})
        for n in range(40)
    ]
    found = only_row(a_run(made)).pass_rate
    assert found is not None
    assert found.low is not None
    assert (found.value, found.n) == (0.8, 40)
    assert found.low < wilson(4, 5).low < wilson(32, 40).low
