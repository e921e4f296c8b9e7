"""Threshold gates: a red one is a real change, a missing number is never green."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from pytest_llmbench.config import Threshold
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Host, Measurement, Repetition, Run
from pytest_llmbench.results.gates import describe, evaluate


def run_with(values: Sequence[float], metric: str = "decode_tps", model: str = "tiny:Q4_0") -> Run:
    measurement = Measurement(
        id="m1",
        key="k",
        model=model,
        profile="interactive",
        settings={},
        host_fingerprint="h",
        repetitions=tuple(Repetition(i, 0, "p", {metric: value}) for i, value in enumerate(values)),
        units={name: row.unit for name, row in METRICS.items()},
    )
    host = Host("cpu", "x86_64", "Linux", "3.11")
    return Run("r", "2026-01-01T00:00:00+00:00", None, None, host, {}, {}, measurements=(measurement,))


def verdict(values: Sequence[float], **rule: object) -> str:
    threshold = Threshold.model_validate({"metric": "decode_tps", "statistic": "p50", **rule})
    return evaluate([threshold], run_with(values))[0].verdict


def test_a_value_that_keeps_its_limit_passes() -> None:
    assert verdict([50, 52, 48, 51, 49, 50], min=40) == "pass"


def test_a_gate_fails_when_the_whole_interval_lies_beyond_the_limit() -> None:
    assert verdict([30, 31, 32, 33, 34, 35], min=40) == "fail"


def test_a_value_beyond_the_limit_whose_interval_reaches_back_is_inconclusive() -> None:
    assert verdict([30, 31, 32, 33, 34, 45], min=40) == "inconclusive"


def test_a_sample_too_small_to_bound_is_inconclusive_and_not_red() -> None:
    assert verdict([30, 31, 32], min=40) == "inconclusive"


def test_an_upper_limit_works_the_other_way_round() -> None:
    assert verdict([2, 2.1, 2.2, 2.3, 2.4, 2.5], max=1) == "fail"
    assert verdict([0.2, 0.1, 0.2, 0.3, 0.4, 0.5], max=1) == "pass"


def test_a_metric_that_was_not_measured_is_inconclusive() -> None:
    result = evaluate([Threshold(metric="ttft_s", statistic="p50", max=1)], run_with([1]))[0]
    assert (result.verdict, result.value) == ("inconclusive", None)
    assert "not measured" in result.reason


def test_a_rule_that_speaks_of_nothing_measured_is_inconclusive() -> None:
    result = evaluate([Threshold(metric="decode_tps", statistic="p50", min=1, model="other:*")], run_with([5]))[0]
    assert result.verdict == "inconclusive"
    assert "other:*" in result.reason


@pytest.mark.parametrize(("pattern", "count"), [("tiny:*", 1), ("tiny:Q4_0", 1), ("*", 1)])
def test_models_are_matched_by_pattern(pattern: str, count: int) -> None:
    threshold = Threshold(metric="decode_tps", statistic="p50", min=1, model=pattern)
    assert [r.verdict for r in evaluate([threshold], run_with([5]))] == ["pass"] * count


def test_a_rule_reads_as_a_sentence() -> None:
    assert describe(Threshold(metric="ttft_s", statistic="p95", max=0.5)) == "ttft_s p95 <= 0.5 s"


def test_a_single_value_of_a_repeated_metric_cannot_fail_a_gate_but_one_of_the_server_can() -> None:
    """One request proves nothing; a load time is measured once by nature."""
    assert verdict([30], min=40) == "inconclusive"
    measured = run_with([30]).measurements[0]
    run = dataclasses.replace(run_with([30]), measurements=(dataclasses.replace(measured, scalars={"load_s": 9.0}),))
    assert evaluate([Threshold(metric="load_s", max=1)], run)[0].verdict == "fail"


@pytest.mark.parametrize("pattern", ["tiny:Q4_0", "*:Q4_0", "tiny:Q4_0 (requantized*"])
def test_a_requantized_model_is_found_by_its_name(pattern: str) -> None:
    threshold = Threshold(metric="decode_tps", min=1, model=pattern)
    assert evaluate([threshold], run_with([5], model="tiny:Q4_0 (requantized from Q4_1)"))[0].verdict == "pass"
