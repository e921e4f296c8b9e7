"""From numbers to a grade and words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import pytest

from pytest_llmbench import config
from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.profiles import PROFILES
from pytest_llmbench.profiles.grading import graded, ruled
from pytest_llmbench.profiles.ratings import GRADES, Grading, as_table, grade, grade_of, mark_for
from pytest_llmbench.records import Label, Measurement, Repetition

MARKED = [metric for metric in METRICS.values() if metric.marks.threshold is not None]


def measured(scalars: Mapping[str, float] | None = None, **series: tuple[float, ...]) -> Measurement:
    """A measurement with these series and scalars."""
    n = max(map(len, series.values()), default=0)
    metrics = [{name: values[i] for name, values in series.items() if i < len(values)} for i in range(n)]
    repetitions = tuple(Repetition(i, 0, "p", found) for i, found in enumerate(metrics))
    units = {name: metric.unit for name, metric in METRICS.items()}
    return Measurement("m", "k", "tiny", "interactive", {}, "h", repetitions, scalars=scalars or {}, units=units)


def answered(**categories: tuple[bool, ...]) -> Measurement:
    """A measurement of questions, right or wrong, by category."""
    items = [(category, right) for category, rights in categories.items() for right in rights]
    repetitions = tuple(
        Repetition(i, 0, "p", {"correct": float(right)}, labels=_labels(category))
        for i, (category, right) in enumerate(items)
    )
    share = sum(right for _, right in items) / len(items)
    return dataclasses.replace(measured({"accuracy": share}), repetitions=repetitions)


def _labels(category: str) -> Mapping[str, Label]:
    return {"category": category}


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("decode_tps", (15, 12, 10, 1, 0.99)),
        ("ttft_s", (1, 1.6, 2, 60, 61)),
        ("itl_cv", (0.1, 0.16, 0.2, 1, 1.01)),
        ("context_load_s", (15, 24, 30, 300, 301)),
        ("documents_per_hour", (45, 36, 30, 2, 1.9)),
        ("temperature_c", (70, 79, 85, 95, 96)),
        ("memory_share", (0.4, 0.64, 0.8, 1, 1.01)),
        ("accuracy", (0.875, 0.8, 0.75, 0.25, 0.24)),
    ],
)
def test_each_mark_is_the_last_value_of_its_grade(metric: str, values: tuple[float, ...]) -> None:
    """Better by half, better by a fifth, met, not beyond unusable, beyond it: on the mark and just past it."""
    row = METRICS[metric]
    past = 1.0001 if row.direction is Direction.LOWER else 0.9999
    assert [grade_of(value, row) for value in values] == list(GRADES)
    assert [grade_of(value * past, row) for value in values[:-1]] == list(GRADES[1:])


@pytest.mark.parametrize("metric", MARKED, ids=lambda metric: metric.name)
def test_a_perfect_server_is_excellent_in_everything(metric) -> None:  # type: ignore[no-untyped-def]
    """The best that can be thought of: no time at all, every answer right, twice the speed anybody asks for."""
    lower = metric.direction is Direction.LOWER
    perfect = 0.0 if lower else 1.0 if metric.unit == "share" else 2 * metric.marks.threshold
    assert grade_of(perfect, metric) == "excellent"


@pytest.mark.parametrize("metric", MARKED, ids=lambda metric: metric.name)
def test_a_grade_never_gets_better_as_the_value_gets_worse(metric) -> None:  # type: ignore[no-untyped-def]
    """Whichever way is better; from far on the good side to far beyond the unusable mark, every grade in turn."""
    low, high = sorted((metric.marks.threshold, metric.marks.unusable))
    values = [low * 0.3 + (high * 1.6 - low * 0.3) * step / 4000 for step in range(4001)]
    worse = values if metric.direction is Direction.LOWER else values[::-1]
    ranks = [GRADES.index(grade_of(value, metric)) for value in worse]
    assert ranks == sorted(ranks)
    assert {0, 3, 4} <= set(ranks)


def test_a_metric_that_is_missing_is_not_measured_and_never_failed() -> None:
    """It is named, has no grade, and the measurement keeps the grade of the others."""
    found = grade(measured(ttft_s=(0.2, 0.2)), ["ttft_s", "decode_tps", "temperature_c"])
    assert found.word == "excellent"
    assert [(g.metric, g.value, g.grade) for g in found.per_metric[1:]] == [
        ("decode_tps", None, ""),
        ("temperature_c", None, ""),
    ]


def test_a_value_that_is_no_number_counts_as_not_measured() -> None:
    found = grade(measured({"temperature_c": math.nan}), ["temperature_c"])
    assert (found.word, found.per_metric[0].value) == ("", None)


def test_nothing_measured_is_not_rated() -> None:
    assert grade(measured(), ["ttft_s", "decode_tps"]).word == ""
    assert grade(measured(), []) == Grading()


def test_the_worst_metric_gives_the_grade() -> None:
    """Speed does not make up for a first token that comes after a minute."""
    found = grade(measured(ttft_s=(61.0,), decode_tps=(400.0,)), ["decode_tps", "ttft_s"])
    assert found.word == "failed"
    assert [g.grade for g in found.per_metric] == ["excellent", "failed"]


def test_one_slow_first_token_in_ten_is_not_hidden_by_the_median() -> None:
    """Time to first token is judged at its 95th percentile, speed at its median."""
    found = grade(measured(ttft_s=(0.1,) * 9 + (70.0,), decode_tps=(100.0,) * 9 + (0.1,)), ["ttft_s", "decode_tps"])
    assert [g.grade for g in found.per_metric] == ["failed", "excellent"]


def test_a_category_that_fails_is_not_hidden_by_the_others() -> None:
    """Each category is graded by itself, though the accuracy over all would be acceptable."""
    found = grade(answered(facts=(True,) * 12, logic=(False, False, False, True, False)), ["accuracy"])
    assert found.word == "failed"
    assert [(g.of, g.value, g.grade) for g in found.per_metric] == [
        ("facts", 1.0, "excellent"),
        ("logic", 0.2, "failed"),
    ]


def test_repetitions_that_were_taken_again_do_not_count() -> None:
    """A slow request that others disturbed, and its quiet successor."""
    first = Repetition(0, 0, "p", {"decode_tps": 0.1}, superseded=True, dirty="others used the machine")
    both = dataclasses.replace(
        measured(decode_tps=(100.0,)), repetitions=(first, Repetition(1, 0, "p", {"decode_tps": 100.0}))
    )
    assert grade(both, ["decode_tps"]).word == "excellent"


@pytest.mark.parametrize(
    ("metric", "value", "word"),
    [
        ("decode_tps", 1.9, "barely usable"),
        ("decode_tps", 2, "slow dictation"),
        ("decode_tps", 10, "comfortable reading"),
        ("decode_tps", 41, "near instant"),
        ("ttft_s", 0.49, "instant"),
        ("ttft_s", 2, "noticeable"),
        ("ttft_s", 31, "unusable"),
        ("itl_cv", 0.31, "choppy"),
        ("context_load_s", 16, "delay"),
        ("documents_per_hour", 121, "fast"),
        ("documents_per_hour", 10, "overnight"),
        ("temperature_c", 69, "cool"),
        ("temperature_c", 91, "stop"),
        ("memory_share", 0.85, "tight"),
        ("largest_context", 32_768, "books"),
        ("largest_context", 4096, "letters"),
        ("recall", 0.5, ""),
    ],
)
def test_each_value_has_the_word_of_its_band(metric: str, value: float, word: str) -> None:
    assert METRICS[metric].word(value) == word


@pytest.mark.parametrize("metric", [m for m in METRICS.values() if m.marks.bands], ids=lambda metric: metric.name)
def test_bands_go_from_best_to_worst_and_leave_nothing_out(metric) -> None:  # type: ignore[no-untyped-def]
    limits = [band.limit for band in metric.marks.bands]
    assert limits == sorted(limits, reverse=metric.direction is Direction.HIGHER)
    assert math.isinf(limits[-1])
    assert all(metric.word(value) for value in (-1e9, 0, 1e9))


def test_words_alone_make_no_grade() -> None:
    """How large a context was tested is the suite's choice and no fault of the model."""
    found = grade(measured({"largest_context": 4096}), ["largest_context"])
    assert (found.word, found.per_metric[0].band, found.per_metric[0].grade) == ("", "letters", "")


def test_every_profile_is_rated_by_metrics_that_have_marks() -> None:
    """Else a metric would be named as rated and never graded."""
    for profile in PROFILES.values():
        assert profile.rated, profile.name
        for name in profile.rated:
            marks = METRICS[name].marks
            assert marks.threshold is not None or marks.bands, f"{profile.name}: {name}"
            assert (marks.threshold is None) == (marks.unusable is None)


def test_a_projects_marks_replace_the_tables() -> None:
    """One mark at a time, and the grade follows."""
    rules = config.parse("grades: {ttft_s: {threshold: 0.2}, decode_tps: {unusable: 5}}")
    word, table = graded(measured(ttft_s=(0.3,), decode_tps=(4.0,)), ["ttft_s", "decode_tps"], rules=rules)
    assert word == "failed"
    assert table is not None
    column = {name: [row[table.columns.index(name)] for row in table.rows] for name in table.columns}
    assert column["grade"] == ["poor", "failed"]
    assert column["threshold"] == [0.2, 10]
    assert column["unusable"] == [60, 5]


def test_a_projects_words_replace_the_tables_and_leave_the_grade() -> None:
    rules = config.parse("ratings: {decode_tps: [{limit: 40, word: swift}, {limit: 10, word: fine}, {word: glacial}]}")
    for value, word, expected in ((12.0, "fine", "good"), (2.0, "glacial", "poor")):
        found, table = graded(measured(decode_tps=(value,)), ["decode_tps"], rules=rules)
        assert table is not None
        assert (found, table.rows[0][table.columns.index("words")]) == (expected, word)


def test_a_metric_a_project_gives_marks_to_is_graded_where_it_is_measured() -> None:
    """Also one that the profile is not rated by; a share is best at 1 whether or not the table says so."""
    rules = config.parse("grades: {recall: {threshold: 0.8, unusable: 0.2}}")
    assert graded(measured(recall=(1.0,)), [], rules=rules)[0] == "excellent"
    assert graded(measured(recall=(0.5,)), [], rules=rules)[0] == "poor"
    assert graded(measured(), [], rules=rules) == ("", None)


def test_a_projects_marks_do_not_judge_a_profile_by_what_it_is_not_about() -> None:
    """A batch lets its first token wait: stricter marks for chats leave its grade alone."""
    rules = config.parse("grades: {ttft_s: {threshold: 0.1, unusable: 1}}")
    batch = measured({"documents_per_hour": 400.0}, ttft_s=(7.0,))
    word, table = graded(batch, ["documents_per_hour"], rules=rules)
    assert word == "excellent"
    assert table is not None
    assert [row[0] for row in table.rows] == ["documents_per_hour"]


def test_a_threshold_better_than_the_best_thinkable_value_still_orders_the_grades() -> None:
    """Who wants 50 °C gets a grade that falls as the temperature rises."""
    metric = ruled(config.parse("grades: {temperature_c: {threshold: 50}}"))["temperature_c"]
    assert [grade_of(value, metric) for value in (50, 51, 96)] == ["excellent", "poor", "failed"]


def test_a_metric_without_a_threshold_has_no_marks() -> None:
    with pytest.raises(ValueError, match="recall has no threshold"):
        mark_for("good", METRICS["recall"])


def test_the_grades_are_kept_as_a_table_of_the_measurement() -> None:
    """In each metric's own unit, what was not measured as such."""
    table = as_table(grade(measured(ttft_s=(0.2,)), ["ttft_s", "decode_tps"]))
    assert table.rows == (
        ("ttft_s", "", "p95", 0.2, "s", "excellent", "instant", 2, 60),
        ("decode_tps", "", "p50", None, "tok/s", "", "", 10, 1),
    )
