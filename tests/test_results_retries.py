"""How often was asked again: counted from what a run has stored, and told by its reports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from store_samples import run as stored_sample
from suite_runs import report_folder, stored_run

from pytest_llmbench.chat.figures import HEADS, rows_of
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.records import FailedAttempt, Reply
from pytest_llmbench.results.retries import asked_again

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.parametrize("word", ["well", "hiccup", "ill", "refused"])
    def test_answer(model, word):
        assert model.ask(word).text
"""
FAILED = FailedAttempt("lab/m", "h", 1, "server", "HTTP 500", "", "2026-11-21T04:15:11+00:00", test_key="t.py::t")


def test_an_attempt_that_failed_and_was_not_made_again_is_no_retry() -> None:
    """One question was answered the third time, one was given up after two attempts, one after its first."""
    failed = [replace(FAILED, number=number) for number in (1, 2, 1, 2, 1)]
    assert asked_again([Reply("a", "lab/m", attempts=3), Reply("b", "lab/m")], failed) == 3
    assert asked_again([], [FAILED]) == 0


def test_what_another_run_or_the_cache_had_was_not_asked_again() -> None:
    """However often it was asked then."""
    assert asked_again([Reply("a", "lab/m", attempts=0)], []) == 0


def test_a_measurement_asks_again_where_its_server_died() -> None:
    """No reply of it tells; the second death is the last."""
    died = replace(FAILED, test_key="measurement:7", category="local.server_crash")
    assert asked_again([], [died]) == 1
    assert asked_again([], [died, replace(died, number=2)]) == 1


def test_a_chat_counts_the_retries_of_questions_that_were_given_up_too() -> None:
    """One was answered the second time, another one failed twice."""
    chat = replace(FAILED, role="chat")
    answered = Reply("a", "lab/m", attempts=2, role="chat")
    failed = [chat, chat, replace(chat, number=2)]
    [row] = rows_of(replace(stored_sample(), replies=[answered], failed_attempts=failed))
    assert dict(zip(HEADS, row, strict=True))["retries"] == "2"


def test_the_summary_and_the_reports_tell_retries_apart_from_attempts_that_failed(pytester: pytest.Pytester) -> None:
    """Four attempts fail: of three questions one is answered then, one is given up, one is refused at once."""
    asked: Counter[str] = Counter()

    def script(body: Mapping[str, Any]) -> Answer | Failure:
        word = body["messages"][-1]["content"]
        asked[word] += 1
        if word == "refused":
            return Failure(401, "no such key", type="authentication_error")
        is_ill = word == "ill" or (word == "hiccup" and asked[word] == 1)
        return Failure(500, "it broke", type="server_error") if is_ill else Answer("yes")

    pytester.makepyfile(SUITE)
    with DemoProvider(script) as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  lab: {{url: '{provider.url}'}}\n")
        result = pytester.runpytest("--llmbench-attempts=2")
    assert asked == {"well": 1, "hiccup": 2, "ill": 2, "refused": 1}
    result.stdout.fnmatch_lines(["retries 2 for 4 attempts that failed (3 × server, 1 × auth)"])
    folder = report_folder(pytester, stored_run(pytester))
    assert json.loads((folder / "report.json").read_text())["retries"] == 2
    assert "asked once more: 2 times here" in (folder / "report.html").read_text()
