"""The request log: what a line holds, that no key gets into one, which lines somebody wants to see."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from logged_calls import ASKED, REPLY, failed, written
from seen_calls import a_call

from pytest_llmbench import redaction
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe import genai_names
from pytest_llmbench.observe.calls import CallEnded, Kind, Note
from pytest_llmbench.observe.log_choice import Wanted, is_problem
from pytest_llmbench.observe.log_fields import FIELDS_OF
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.observe.log_schema import schema
from pytest_llmbench.observe.opening import opened
from pytest_llmbench.records import Reply, ToolCall


def test_a_line_tells_a_call_whole_but_for_its_contents(tmp_path: Path) -> None:
    """Who asked, how it ended, times, tokens, cost; nothing that is not known, and no text."""
    ended = CallEnded.answered(a_call(sample="s1", max_tokens=5, temperature=0.0, messages=ASKED), REPLY, 0.5)
    head, line = written(tmp_path, ended)
    assert head["event"] == "log"
    assert head["content"] is False
    assert line["level"] == "info"
    told = {"sample": "s1", "outcome": "answered", "duration_s": 0.5, "ttft_s": 0.25, "served_model": "m-2026"}
    told |= {"prompt_tokens": 10, "completion_tokens": 20, "cost_usd": "0.01", "temperature": 0.0, "run": "r1"}
    assert told.items() <= line.items()
    assert not {"seed", "category", "messages", "text", "tool_calls", "extra"} & line.keys()
    assert None not in line.values()


def test_contents_are_written_where_that_is_wanted(tmp_path: Path) -> None:
    """What was asked, the answer, its tools."""
    ended = CallEnded.answered(a_call(messages=ASKED, extra={"top_p": 0.5}), REPLY, 0.5)
    _, line = written(tmp_path, ended, content=True)
    assert line["messages"] == list(ASKED)
    assert line["extra"] == {"top_p": 0.5}
    assert line["text"] == "an answer"
    assert line["tool_calls"] == [{"id": "1", "name": "find", "arguments": '{"a": 1}'}]


def test_a_text_too_long_for_a_line_is_shortened_and_said_to_be(tmp_path: Path, monkeypatch) -> None:
    """A picture within a message must not fill the disk."""
    monkeypatch.setattr("pytest_llmbench.observe.log_texts.LONGEST", 100)
    long = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + "A" * 5000}}]},)
    _, line = written(tmp_path, CallEnded.answered(a_call(messages=long), REPLY, 0.5), content=True)
    assert line["shortened"] is True
    assert len(json.dumps(line)) < 2000


def test_errors_alone_are_written_where_that_is_wanted(tmp_path: Path) -> None:
    """Calls that were answered are left out, notes are not."""
    ended = CallEnded.answered(a_call(), REPLY, 0.5)
    lines = written(tmp_path, ended, failed(), Note(Kind.RATE_CUT, "fewer"), errors_only=True)
    assert [line["event"] for line in lines] == ["log", "call", "note"]
    assert lines[1]["message"] == "no"


KEY = "canary-key/of+a lab\\0417"


def test_no_form_of_a_key_gets_into_a_line(tmp_path: Path) -> None:
    """In whatever field: names of tests, messages, contents and their keys, notes; the lines stay JSON."""
    redaction.register(KEY)
    basic = base64.b64encode(f"user:{KEY}".encode()).decode()
    said = f"key {KEY} basic {basic} {json.dumps(KEY)} {KEY.encode().hex()}"
    foreign = f"{said} {KEY[:16]}"
    tools = (ToolCall("1", foreign, foreign),)
    reply = Reply(foreign, "lab/m", foreign, reasoning=foreign, finish_reason=foreign, tool_calls=tools)
    messages = ({"role": "user", "content": foreign, KEY: KEY},)
    call = a_call(test_key=f"t[{KEY}]", sample=said, messages=messages, extra={"x": [said, {KEY: 1}]})
    told = [
        CallEnded.answered(call, reply, 0.1),
        failed(foreign),
        Note(Kind.FELL_BACK, foreign, said, {"why": [foreign]}),
    ]
    lines = written(tmp_path, *told, content=True)
    assert len(lines) == 4
    [path] = files_in(tmp_path)["main"]
    raw = path.read_text()
    for form in (KEY, KEY.replace("\\", "\\\\"), basic[8:-4], KEY.encode().hex(), json.dumps(KEY)[1:-1], KEY[:16]):
        assert form not in raw, form
    assert "[redacted]" in raw


def test_what_looks_like_a_key_is_taken_out_of_contents_and_messages(tmp_path: Path) -> None:
    """A key that was never registered, in a prompt and in what a provider says."""
    like = "sk-" + "a1b2c3d4e5" * 3
    call = a_call(messages=({"role": "user", "content": f'{{"api_key": "{like}", "b": 2}}'},))
    lines = written(tmp_path, CallEnded.answered(call, REPLY, 0.1), failed(f"Bearer {like} refused"), content=True)
    assert like not in json.dumps(lines)
    assert lines[2]["message"] == "Bearer [redacted] refused"


def test_every_line_is_as_its_schema_says(tmp_path: Path) -> None:
    """All events, with and without contents; a line that lacks what all have is not."""
    timed = {"profile": "interactive", "measurement": "m1", "repetition": 0, "batch": "b1"}
    call = a_call(sample="s", use_case="u", seed=1, messages=ASKED, extra={"top_p": 1}, **timed)
    told = [CallEnded.answered(call, REPLY, 0.5), CallEnded.answered(call, REPLY, None, cached=True), failed()]
    lines = written(tmp_path, *told, Note(Kind.BREAKER_OPENED, "x", "lab/m", {"wait_s": 3}), content=True)
    checker = jsonschema.Draft202012Validator(schema())
    checker.check_schema(schema())
    for line in lines:
        checker.validate(line)
        assert line.keys() <= {each.name for each in FIELDS_OF[line["event"]]}
        assert not checker.is_valid({name: value for name, value in line.items() if name != "at"})
    assert not checker.is_valid({**lines[1], "outcome": "lost"})


def test_what_opentelemetry_has_a_name_for_is_called_so_in_traces() -> None:
    """One table of names: a later version of the conventions changes both."""
    known = {name.key for name in vars(genai_names).values() if isinstance(name, genai_names.Name)}
    told = {each.genai for fields in FIELDS_OF.values() for each in fields if each.genai}
    assert told <= known


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Wanted(), "abcmn"),
        (Wanted(failed=True), "bn"),
        (Wanted(slow_s=2.0), "c"),
        (Wanted(category="timeout"), "b"),
        (Wanted(category="timeout.ttft"), "b"),
        (Wanted(category="time"), ""),
        (Wanted(model="lab/*"), "abn"),
        (Wanted(test="triage"), "ac"),
        (Wanted(test="tri*[0-9]"), "a"),
        (Wanted(failed=True, model="other/*"), ""),
        (Wanted(test="interactive"), "m"),
    ],
)
def test_lines_are_chosen_by_what_is_wanted(wanted: Wanted, seen: str) -> None:
    """Failed, slow, of a category, a model, a test."""
    lines = {
        "a": {"event": "call", "outcome": "answered", "model": "lab/m", "test": "triage-1", "duration_s": 1.0},
        "b": {"event": "call", "outcome": "failed", "category": "timeout.ttft", "model": "lab/m", "test": "x"},
        "c": {"event": "call", "outcome": "answered", "model": "other/m", "test": "triage-x", "duration_s": 3.0},
        "m": {"event": "call", "outcome": "answered", "profile": "interactive", "repetition": 0, "duration_s": 1.5},
        "n": {"event": "note", "level": "warning", "model": "lab/m"},
        "l": {"event": "log"},
    }
    assert "".join(name for name, line in lines.items() if wanted.holds(line)) == seen


def test_a_slow_answer_to_what_is_timed_is_no_problem() -> None:
    """A load is slow on purpose; a failure under it is one."""
    slow = {"event": "call", "level": "info", "duration_s": 30.0}
    assert is_problem(slow)
    assert not is_problem({**slow, "profile": "load"})
    assert is_problem({**slow, "profile": "load", "level": "error"})


def resolved(folder: Path, **options: str) -> Any:
    from pytest_llmbench import config

    return config.resolve(options, {}, {}, folder)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"request_log": "content", "keep_prompts": "no"}, "keep_prompts=false says that none are kept"),
        ({"request_log": "off", "log_console": "calls"}, "request_log=off says that there is none"),
    ],
)
def test_settings_that_contradict_each_other_are_told_before_anything_is_asked(
    tmp_path: Path, options: dict[str, str], why: str
) -> None:
    """Contents of a run that keeps none; a console for a log that is not there."""
    with pytest.raises(UsageError, match=re.escape(why)):
        opened(resolved(tmp_path, **options), "r1", "main", print)


def test_without_a_log_nobody_looks_on(tmp_path: Path) -> None:
    """Nothing to tell, nothing to close."""
    assert opened(resolved(tmp_path, request_log="off"), "r1", "main", print) is None
