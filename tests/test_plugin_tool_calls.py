"""Tool calls in sessions: read by tests, stored, given again on resume and from cassettes, shown in the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_runs
import store_samples
from suite_runs import stored_run

from pytest_llmbench.asker.cassette import Cassette
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.recording import Recording
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import Reply, Target, ToolCall
from pytest_llmbench.reports import html_report
from pytest_llmbench.store.replies import is_whole

SUITE = """
    import os, pathlib, pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=9)
    def test_call(reply, sample):
        (call,) = reply.tool_calls
        assert (call.name, call.json["city"]) == ("<weather>", sample.expected)
        if sample.id == "s3" and not pathlib.Path("again").exists():
            pathlib.Path("again").touch()
            {ending}
"""
CALLS = (ToolCall("c1", "<weather>", '{"city": "Köln"}'), ToolCall("c2", "clock", "{}"))
CITIES = ["Ulm", "Bonn", "Köln", "Trier", "Hof"]


def _call(body: dict[str, Any]) -> Answer:
    arguments = json.dumps({"city": body["messages"][-1]["content"]}, ensure_ascii=False)
    return Answer("", tool_name="<weather>", tool_arguments=[arguments], finish_reason="tool_calls")


@pytest.fixture
def provider(pytester: pytest.Pytester) -> Iterator[DemoProvider]:
    """Calls a tool with what it was asked."""
    with DemoProvider(_call) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(f"servers: {{lab: {{url: '{running.url}'}}}}\n")
        rows = [json.dumps({"id": f"s{n}", "input": city, "expected": city}) for n, city in enumerate(CITIES)]
        pytester.path.joinpath("questions.jsonl").write_text("\n".join(rows))
        yield running


def test_a_resumed_run_is_given_the_tool_calls_it_had(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """A reply of nothing but tool calls is whole: killed and resumed, no question is asked twice."""
    pytester.makepyfile(SUITE.format(ending="os.kill(os.getpid(), 9)"))
    assert pytester.runpytest_subprocess().ret == -9
    stored = len(stored_run(pytester).replies)
    before = len(provider.chats())
    resumed = pytester.runpytest_subprocess("--llmbench-resume", "last")
    assert resumed.ret == 0, resumed.stdout.str()
    assert len(provider.chats()) - before == len(CITIES) - stored
    told = [call for reply in stored_run(pytester).replies for call in reply.tool_calls]
    assert sorted(call.json["city"] for call in told) == sorted(CITIES)
    assert {call.id for call in told} == {"call_demo"}


def test_tool_calls_are_replayed(tmp_path: Path) -> None:
    """As they were recorded."""
    question = Question(
        Target("lab/m", "lab", "m", "openai", "https://lab.example"),
        ChatRequest("lab/m", ({"role": "user", "content": "Ulm?"},)),
        "test_a",
        "0" * 64,
    )
    recording = Recording(tmp_path / "c.jsonl")
    recording.add(question, Reply("", "lab/m", tool_calls=CALLS))
    recording.close()
    assert Cassette(tmp_path / "c.jsonl").reply(question).tool_calls == CALLS


def test_the_report_shows_tool_calls_under_the_reply() -> None:
    """Escaped as all that a model wrote; a reply without a text is not called empty."""
    run = report_runs.passed_run()
    called = dataclasses.replace(report_runs.CAPITAL, text="", tool_calls=CALLS)
    page = html_report.render(dataclasses.replace(run, replies=(called,)))
    assert "<weather>" not in page
    assert "&lt;weather&gt;({&#34;city&#34;: &#34;Köln&#34;})" in page
    assert "(empty)" not in page
    both = html_report.render(dataclasses.replace(run, replies=(dataclasses.replace(called, text="Let me look."),)))
    assert "Let me look." in both
    assert "&lt;weather&gt;(" in both


def test_replies_without_their_prompts_keep_no_arguments(
    pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keep_prompts: false` holds for what was said to a tool too; the test itself reads it all the same."""
    monkeypatch.setenv("LLMBENCH_KEEP_PROMPTS", "false")
    pytester.makepyfile(SUITE.format(ending="pass"))
    assert pytester.runpytest_subprocess().ret == 0
    assert [list(reply.tool_calls) for reply in stored_run(pytester).replies] == [[]] * len(CITIES)


def test_a_reply_is_whole_with_its_text_or_its_calls() -> None:
    """Without either, of one that had tokens, it was not kept."""
    bare = Reply("", "m", usage=store_samples.USAGE)
    assert not is_whole(bare)
    assert is_whole(Reply("", "m", usage=store_samples.USAGE, tool_calls=(ToolCall("c", "f", "{}"),)))
