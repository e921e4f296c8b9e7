"""Samples that no gate needs any more are not asked; the gates answer as they would have."""

from __future__ import annotations

from collections import Counter

import pytest
from judge_suites import court, judged_usecase
from suite_runs import declared, gates, stored_run
from usecase_suites import asked, echo, provider, usecase

from pytest_llmbench.demo import Answer

GATE = "validators: [exact]\ngates: [{metric: pass_rate, min: 0.5, by: value}]"
AHEAD = 8
"""Replies that are asked for ahead of the tests."""


def wrong(_: dict[str, object]) -> Answer:
    return Answer("no")


def outcomes(pytester: pytest.Pytester) -> dict[str, int]:
    return dict(Counter(result.outcome for result in stored_run(pytester).results))


def test_once_a_gate_passes_whatever_comes_no_sample_is_asked(pytester: pytest.Pytester) -> None:
    """20 of 40 right: the rest is skipped with the reason, and the table tells of how many the rate is."""
    usecase(pytester.path, 40, f"{GATE}\nstop: samples")
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "-rs")
    assert result.ret == 0, result.stdout.str()
    assert 20 <= len(asked(lab)) <= 20 + AHEAD
    assert outcomes(pytester) == {"right": 20, "skipped": 20}
    result.stdout.fnmatch_lines(
        ["*40 samples*", "*20 asked*", "*20 samples: not asked*", "*the gate is decided: 20 of 40 samples were enough*"]
    )
    [gate] = gates(pytester)
    assert (gate.verdict, gate.n) == ("pass", 20)


@pytest.mark.slow
def test_once_a_gate_fails_whatever_comes_it_fails(pytester: pytest.Pytester) -> None:
    """The setting does it, too; of two models each is stopped by itself."""
    usecase(pytester.path, 40, f"models: [lab/m, lab/n]\n{GATE}")
    with provider(pytester.path, lambda body: wrong(body) if body["model"] == "m" else echo(body)) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-stop-early", "true")
    assert result.ret == 10, result.stdout.str()
    run = stored_run(pytester)
    found = {gate.model: (gate.verdict, gate.n) for gate in declared(run)}
    assert found["lab/n"] == ("pass", 20)
    verdict, n = found["lab/m"]
    assert verdict == "fail"
    assert n < 40
    assert len(asked(lab)) < 80


@pytest.mark.slow
def test_a_gate_near_its_limit_takes_all_samples(pytester: pytest.Pytester) -> None:
    """Every second reply is right: nothing is certain before the last samples."""
    usecase(pytester.path, 12, f"{GATE}\nstop: samples")
    with provider(
        pytester.path, lambda body: echo(body) if int(str(body["messages"][-1]["content"])[4:]) % 2 else wrong(body)
    ):
        pytester.runpytest_subprocess("shout")
    assert outcomes(pytester) == {"right": 6, "wrong": 6}


@pytest.mark.slow
def test_a_judge_that_only_advises_does_not_end_it_with_a_failure(pytester: pytest.Pytester) -> None:
    """Its word alone fails no gate, but what else is told may: that is open as long as nothing else is told."""
    judged_usecase(
        pytester.path,
        12,
        "judge: lab/j\nvalidators: [exact]\ngates: [{metric: pass_rate, min: 0.9, by: value}]\nstop: samples",
    )
    with court(pytester.path, j=lambda _: Answer('{"criteria": {"rubric": {"reason": "It is not.", "holds": false}}}')):
        result = pytester.runpytest_subprocess("shout")
    [gate] = gates(pytester)
    assert gate.verdict == "fail (advisory)", result.stdout.str()
    assert outcomes(pytester)["wrong"] == 11


@pytest.mark.parametrize(
    ("front", "arguments", "told"),
    [
        ("validators: [exact]", (), "there is no gate on it"),
        ("gates: [{metric: score, min: 0.5}]", (), "the gate of score is decided by all of them"),
        (GATE, ("--llmbench-corrupt", "casing"), "damaged inputs"),
        (f"{GATE}\ndata: {{slices: [document]}}", (), "samples of one document"),
    ],
)
@pytest.mark.slow
def test_where_samples_cannot_be_left_out_the_reason_is_told(
    pytester: pytest.Pytester, front: str, arguments: tuple[str, ...], told: str
) -> None:
    """All are asked then."""
    usecase(pytester.path, 6, f"{front}\nstop: samples", document=lambda n: f"d{n // 3}")
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert told in result.stdout.str() + result.stderr.str()
    assert "skipped" not in outcomes(pytester)


@pytest.mark.slow
def test_several_processes_ask_all_samples(pytester: pytest.Pytester) -> None:
    """None knows how far the others are."""
    usecase(pytester.path, 10, f"{GATE}\nstop: samples")
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "-n", "2")
    assert result.ret == 0, result.stdout.str()
    assert len(asked(lab)) == 10
    assert outcomes(pytester) == {"right": 10}
