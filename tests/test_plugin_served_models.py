"""Who answered is compared with who was asked: results of two models are never taken for those of one in silence."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from judge_suites import court
from suite_runs import stored_run
from usecase_suites import usecase

from pytest_llmbench.demo import Answer
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.served import is_same, served


def changing(*names: str) -> Any:
    """A model that says it is another one from reply to reply, the last one for ever after."""
    numbers = count()
    return lambda body: Answer(
        body["messages"][-1]["content"].upper(), served_model=names[min(next(numbers), len(names) - 1)]
    )


def test_a_model_that_changes_within_a_run_is_told_loudly(pytester: pytest.Pytester) -> None:
    """In the terminal, in each report and in the verdict; with the counts."""
    usecase(pytester.path, 3, "validators: [contains]")
    with court(pytester.path, m=changing("m-2026-01-01", "m-2026-02-01")):
        result = pytester.runpytest_subprocess("shout", "--llmbench-report=md,html,json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "origin*lab/m was answered by two different models: m-2026-02-01 (2 replies)*",
            "*passed with remarks*",
        ]
    )
    told = "lab/m was answered by two different models: m-2026-02-01 (2 replies), m-2026-01-01 (1 reply)"
    run = stored_run(pytester)
    assert any(sentence.startswith(told) for sentence in view(run).provenance)
    written = [path for path in pytester.path.glob(".llmbench/reports/*/*") if path.suffix in {".md", ".html", ".json"}]
    assert len(written) == 3
    assert all("different models: m-2026-02-01 (2 replies)" in path.read_text() for path in written)


def test_a_model_that_answers_in_place_of_another_is_told(pytester: pytest.Pytester) -> None:
    """All replies are of one model, and it is not the one that was asked."""
    usecase(pytester.path, 2, "validators: [contains]")
    with court(pytester.path, m=changing("cheaper")):
        result = pytester.runpytest_subprocess("shout")
    result.stdout.fnmatch_lines(["origin*lab/m was answered by cheaper (2 replies), says the provider*"])


@pytest.mark.parametrize("names", [("m",), ("m-2026-01-01",), ("M",), ("org/m",)])
def test_the_usual_version_behind_a_name_is_no_news(pytester: pytest.Pytester, names: tuple[str, ...]) -> None:
    """What was asked is what answered."""
    usecase(pytester.path, 2, "validators: [contains]")
    with court(pytester.path, m=changing(*names)):
        result = pytester.runpytest_subprocess("shout")
    result.stdout.no_fnmatch_line("*answered by*")
    assert served(stored_run(pytester)) == ()


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("openai/gpt-4o", "gpt-4o-2024-08-06", True),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("openai/gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5-20251001", True),
        ("anthropic/claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", True),
        ("openrouter/openai/gpt-4o", "openai/gpt-4o", True),
        ("openrouter/meta/llama-3:free", "meta/llama-3", True),
        ("openrouter/auto", "anthropic/claude-haiku-4-5", False),
        ("google/gemini-2.5-flash", "gemini-2.5-pro", False),
        ("azure/our-deployment", "gpt-4o-2024-08-06", True),
        ("lab/small", "/models/small-q4.gguf", True),
        ("./own.gguf", "anything", True),
        ("smollm2-135m:Q4_1", "anything", True),
    ],
)
def test_names_are_the_same_but_for_the_mark_of_a_version(asked: str, answered: str, same: bool) -> None:
    """A name that holds its version is not answered by another version."""
    assert is_same(asked, answered) is same
