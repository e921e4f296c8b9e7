"""A request log replayed as traffic: what was asked comes again, when it came, and where it was logged as it was."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from seen_calls import a_call
from served_sessions import session_in
from stands import measured, of_provider

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.observe.request_log import RequestLog
from pytest_llmbench.profiles.load_log import Arrival
from pytest_llmbench.profiles.load_trace import read_trace
from pytest_llmbench.records import ModelFile, Reply, Usage
from pytest_llmbench.serving import open_model

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GAPS_S = (0.0, 0.5, 0.9, 1.0)


def call(at_s: float, **fields: Any) -> dict[str, Any]:
    """A line of a log."""
    moment = (BEGAN + timedelta(seconds=at_s)).isoformat()
    line = {"v": 1, "event": "call", "at": moment, "begun_at": moment, "model": "lab/m", "attempt": 1}
    return {**line, "outcome": "answered", "prompt_tokens": 100, "completion_tokens": 8, **fields}


def written(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_first_attempts_that_reached_a_server_are_what_is_replayed(tmp_path: Path) -> None:
    """No second tries, nothing from the cache, no notes; what failed is as long as others are."""
    lines = [
        {"v": 1, "event": "log", "at": BEGAN.isoformat()},
        call(2.0, prompt_tokens=50, completion_tokens=5),
        call(0.5, outcome="failed", prompt_tokens=None, completion_tokens=None),
        call(0.6, attempt=2),
        call(0.7, outcome="cached"),
        {"v": 1, "event": "note", "kind": "rate_cut", "at": BEGAN.isoformat()},
        call(1.5),
    ]
    trace = read_trace(written(tmp_path / "log.jsonl", *lines))
    assert trace.arrivals == (Arrival(0.0, 75, 6), Arrival(1.0, 100, 8), Arrival(1.5, 50, 5))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([call(0), call(1, model="lab/other")], "holds calls to 2 models: lab/m, lab/other"),
        ([{"v": 1, "event": "log"}], "holds no calls"),
        ([call(0, outcome="failed", prompt_tokens=None, completion_tokens=None)], "tells no tokens of any call"),
        ([call(0), {"timestamp": 0}], "log.jsonl:2: no line of a request log"),
        ([call(0, begun_at="soon")], "log.jsonl:1: begun_at is no time"),
        ([call(0), call(0, v=2)], "written by a newer pytest-llmbench"),
    ],
)
def test_a_log_that_cannot_be_replayed_is_told_why(tmp_path: Path, lines: list[dict[str, Any]], why: str) -> None:
    """Several models, no calls, a line of another kind."""
    with pytest.raises(UsageError, match=why):
        read_trace(written(tmp_path / "log.jsonl", *lines))


def test_the_half_line_of_a_process_that_was_killed_is_passed_over(tmp_path: Path) -> None:
    """The last one alone, and of a log alone."""
    path = written(tmp_path / "log.jsonl", call(0), call(1))
    whole, half = path.read_text(), '{"v": 1, "event": "call", "at": "2026'
    path.write_text(whole + half)
    assert [arrival.at_s for arrival in read_trace(path).arrivals] == [0.0, 1.0]
    trace = json.dumps({"timestamp": 0, "input_length": 5, "output_length": 5}) + "\n"
    for text in (f"{half}\n{whole}", f"{whole}{half}\n", f"{trace}{half}"):
        path.write_text(text)
        with pytest.raises(UsageError, match="no JSON"):
            read_trace(path)


def test_a_prompt_that_is_not_whole_is_not_asked(tmp_path: Path) -> None:
    """A shortened one, or one that is no conversation, is replaced by prose of its length."""
    message = {"role": "user", "content": "what?"}
    lines = [call(0, messages=[message], shortened=True), call(1, messages=["x"]), call(2, messages=[message])]
    trace = read_trace(written(tmp_path / "log.jsonl", *lines))
    assert [each.messages for each in trace.arrivals] == [(), (), (message,)]


def logged(folder: Path, prompts: list[str]) -> Path:
    """A log with contents, of requests that came at certain times."""
    log = RequestLog(folder / "logged", "r1", "main", print, content=True)
    for prompt, at_s in zip(prompts, GAPS_S, strict=True):
        begun = a_call(messages=({"role": "user", "content": prompt},), max_tokens=4)
        begun = dataclasses.replace(begun, begun_at=(BEGAN + timedelta(seconds=at_s)).isoformat())
        log.ends(CallEnded.answered(begun, Reply("x", "lab/m", usage=Usage(9, 3)), 0.1))
    log.close()
    [path] = files_in(folder / "logged")["main"]
    return path


def test_a_log_with_contents_is_asked_again_as_it_was(tmp_path: Path) -> None:
    """The same prompts, each with a fresh beginning, at the same distances; answers of the same length."""
    prompts = [f"question {n}" for n in range(4)]
    with DemoProvider(Answer("one two three")) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            trace = str(logged(tmp_path, prompts))
            load = measured(session, name, "load", arrival="trace", trace=trace, warmup=0)
        calls = provider.chats()
    asked = [each.body["messages"][0]["content"] for each in calls]
    assert all(text.endswith(prompt) for text, prompt in zip(asked, prompts, strict=True))
    assert [each.body["max_tokens"] for each in calls] == [3] * 4
    came_s = [each.received_at - calls[0].received_at for each in calls]
    assert came_s == pytest.approx(GAPS_S, abs=0.15)
    assert not any("the prompts had" in note for note in load.notes)


@pytest.mark.slow
def test_what_a_run_asked_is_replayed_against_a_model_of_this_machine(tmp_path: Path, smollm2: ModelFile) -> None:
    """From the calls of one session, through its log, to a load on the embedded engine: gaps and lengths are the
    same."""
    with session_in(tmp_path, request_log="content") as session:
        model = open_model(session, smollm2.name)
        for number in range(3):
            model.ask(f"Name {number + 2} animals.", max_tokens=4)
            time.sleep(0.4)
        run_id = session.run_id
    [path] = files_in(tmp_path / ".llmbench" / "logs" / run_id)["main"]
    began = [each.at_s for each in read_trace(path).arrivals]
    with session_in(tmp_path) as session:
        load = measured(session, smollm2.name, "load", arrival="trace", trace=str(path), slots=2)
    assert [each.labels["due_s"] for each in load.counted] == pytest.approx(began)
    assert all(later - earlier >= 0.4 for earlier, later in itertools.pairwise(began))
    assert [each.usage.completion_tokens for each in load.counted] == [4, 4, 4]
