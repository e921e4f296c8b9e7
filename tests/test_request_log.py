"""The request log: what a line holds, that no line is lost or halved, and that no key gets into one."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from seen_calls import a_call

from pytest_llmbench import redaction
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.observe import genai_names, log_files, request_log
from pytest_llmbench.observe.calls import CallEnded, Kind, Note
from pytest_llmbench.observe.log_choice import Wanted
from pytest_llmbench.observe.log_fields import FIELDS_OF
from pytest_llmbench.observe.log_files import LogFiles, files_in
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.observe.log_schema import schema
from pytest_llmbench.observe.opening import opened
from pytest_llmbench.observe.request_log import RequestLog
from pytest_llmbench.records import Cost, Reply, Timing, ToolCall, Usage

REPLY = Reply(
    "an answer",
    "lab/m",
    "m-2026",
    tool_calls=(ToolCall("1", "find", '{"a": 1}'),),
    finish_reason="stop",
    usage=Usage(10, 20),
    timing=Timing(ttft_s=0.25),
    cost=Cost("0.01", "priced"),
)
ASKED = ({"role": "user", "content": "what is it?"},)


def written(folder: Path, *told: Any, content: bool = False, errors_only: bool = False) -> list[dict[str, Any]]:
    """Have a log told all of that; its lines."""
    log = RequestLog(folder, "r1", "main", print, content=content, errors_only=errors_only)
    for each in told:
        log.notes(each) if isinstance(each, Note) else log.ends(each)
    log.close()
    return [dict(line) for line in LogReader.of_folder(folder).lines()]


def failed(message: str = "no", **call: Any) -> CallEnded:
    error = WireError(message, category=Category.SERVER, status=500, partial_text="half")
    return CallEnded.broken(a_call(**call), error, 1.5)


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


def test_files_are_private_and_named_by_process(tmp_path: Path) -> None:
    """0600, whatever the umask allows."""
    written(tmp_path / "logs", failed())
    [path] = files_in(tmp_path / "logs")["main"]
    assert path.name == "requests-main.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_made_where_nothing_is_told(tmp_path: Path) -> None:
    """No folder, no empty file."""
    assert written(tmp_path / "logs") == []
    assert not (tmp_path / "logs").exists()


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


def test_files_follow_each_other_by_size_and_none_is_lost(tmp_path: Path) -> None:
    """Three thousand lines from four threads through files of 20 kB: each once and whole, in numbered files."""
    log = RequestLog(tmp_path, "r1", "main", print)
    log._files._file_bytes = 20_000

    def tell(thread: int) -> None:
        for number in range(750):
            log.ends(failed(test_key=f"{thread}-{number}"))

    threads = [threading.Thread(target=tell, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    log.close()
    paths = files_in(tmp_path)["main"]
    assert len(paths) > 20
    assert max(path.stat().st_size for path in paths) < 20_000 + 64 * 1000
    reader = LogReader.of_folder(tmp_path)
    tests = [line["test"] for line in reader.lines() if line["event"] == "call"]
    assert len(tests) == len(set(tests)) == 3000
    assert reader.broken == 0


def test_the_oldest_files_go_beyond_the_cap(tmp_path: Path) -> None:
    """All together stay below it, the newest lines are there."""
    files = LogFiles(tmp_path, "main", lambda: b"{}\n", file_bytes=1000, most_bytes=5000)
    for number in range(200):
        files.write([json.dumps({"v": 1, "n": number, "text": "x" * 80}).encode() + b"\n"])
    files.close()
    paths = files_in(tmp_path)["main"]
    assert sum(path.stat().st_size for path in paths) <= 5000
    numbers = [line["n"] for line in LogReader.of_folder(tmp_path).lines() if "n" in line]
    assert numbers == list(range(numbers[0], 200))


def test_a_process_that_is_started_again_begins_the_next_file(tmp_path: Path) -> None:
    """It never adds to a file that another may have left with half a line."""
    written(tmp_path, failed(test_key="one"))
    [first] = files_in(tmp_path)["main"]
    with first.open("ab") as file:
        file.write(b'{"v":1,"event":"call","test":"ha')
    written(tmp_path, failed(test_key="two"))
    reader = LogReader.of_folder(tmp_path)
    assert [line["test"] for line in reader.lines() if line["event"] == "call"] == ["one", "two"]
    assert reader.broken == 1


def test_lines_of_a_newer_version_are_passed_over_and_counted(tmp_path: Path) -> None:
    """So are those that are no objects."""
    (tmp_path / "requests-main.jsonl").write_text('{"v": 2, "event": "call"}\n[1]\n\n{"v": 1, "event": "call"}\n')
    reader = LogReader.of_folder(tmp_path)
    assert [line["v"] for line in reader.lines()] == [1]
    assert (reader.newer, reader.broken) == (1, 1)


def test_a_full_disk_costs_lines_and_no_call(tmp_path: Path, monkeypatch) -> None:
    """Told once; when there is room again a note says how many are lost, after a half line if need be."""
    told: list[str] = []
    log = RequestLog(tmp_path, "r1", "main", told.append)
    real, full, room = os.write, threading.Event(), [10]

    def write(descriptor: int, data: Any) -> int:
        if not full.is_set():
            return real(descriptor, data)
        if room:
            return real(descriptor, bytes(data)[: room.pop()])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_files.os, "write", write)

    def tell(name: str) -> None:
        log.ends(failed(test_key=name))
        time.sleep(0.1)

    tell("before")
    full.set()
    tell("lost")
    tell("lost too")
    full.clear()
    tell("after")
    log.close()
    lines = list(LogReader.of_folder(tmp_path).lines())
    told_of = [line.get("test", line["event"]) for line in lines if line["event"] != "log"]
    assert sorted(told_of) == ["after", "before", "note"]
    [note] = [line for line in lines if line["event"] == "note"]
    assert (note["kind"], note["details"]) == ("log_lost", {"lines": 2})
    assert len(told) == 1
    assert "No space left" in told[0]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_request_log import failed
from pytest_llmbench.observe.request_log import RequestLog
log = RequestLog(Path(sys.argv[1]), "r1", "main", print)
number = 0
while True:
    log.ends(failed(test_key=str(number)))
    number += 1
    if number == 500:
        print("on", flush=True)
"""


def test_a_kill_leaves_at_most_one_half_line(tmp_path: Path) -> None:
    """kill -9 amid thousands of lines: what is there is whole, in order, without a gap."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    reader = LogReader.of_folder(tmp_path)
    tests = [int(line["test"]) for line in reader.lines() if line["event"] == "call"]
    assert tests == list(range(len(tests)))
    assert len(tests) > 100
    assert reader.broken <= 1


def test_a_call_that_is_long_under_way_is_told_before_it_ends(tmp_path: Path, monkeypatch) -> None:
    """Once; a process that dies then leaves that line behind."""
    monkeypatch.setattr(request_log, "LONG_S", 0.05)
    monkeypatch.setattr(request_log, "_LOOK_S", 0.02)
    log = RequestLog(tmp_path, "r1", "main", print)
    call = a_call()
    log.begins(call)
    time.sleep(0.3)
    waiting = [line for line in LogReader.of_folder(tmp_path).lines() if line["event"] == "waiting"]
    assert [line["call_id"] for line in waiting] == [call.call_id]
    assert waiting[0]["waited_s"] >= 0.05
    log.ends(CallEnded.answered(call, REPLY, 0.3))
    log.close()
    assert [line["event"] for line in LogReader.of_folder(tmp_path).lines()].count("waiting") == 1


def test_of_errors_alone_the_end_of_a_call_that_was_told_to_take_long_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be under way for ever; one that was answered at once is left out."""
    monkeypatch.setattr(request_log, "LONG_S", 0.05)
    monkeypatch.setattr(request_log, "_LOOK_S", 0.02)
    log = RequestLog(tmp_path, "r1", "main", print, errors_only=True)
    long, quick = a_call(), a_call(test_key="quick")
    log.begins(long)
    time.sleep(0.3)
    log.begins(quick)
    for call in (quick, long):
        log.ends(CallEnded.answered(call, REPLY, 0.3))
    log.close()
    lines = [(line["event"], line.get("call_id")) for line in LogReader.of_folder(tmp_path).lines()]
    assert lines[1:] == [("waiting", long.call_id), ("call", long.call_id)]


def test_a_flush_comes_back_when_all_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the files then misses nothing; of a log that is closed nothing is waited for."""
    monkeypatch.setattr(request_log, "_FLUSH_S", 60.0)
    log = RequestLog(tmp_path, "r1", "main", print)
    for number in range(200):
        log.ends(failed(test_key=str(number)))
    log.flush()
    tests = [line["test"] for line in LogReader.of_folder(tmp_path).lines() if line["event"] == "call"]
    assert tests == [str(number) for number in range(200)]
    log.close()
    log.flush()


def test_a_process_of_any_name_has_a_log_that_is_found(tmp_path: Path) -> None:
    """Workers may be called as their user likes; the line tells the name as it is."""
    log = RequestLog(tmp_path, "r1", "../My-Worker_1", print)
    log.ends(failed())
    log.close()
    assert list(files_in(tmp_path)) == ["myworker1"]
    assert {line["process"] for line in LogReader.of_folder(tmp_path).lines()} == {"../My-Worker_1"}


def test_lines_of_several_processes_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    """Each file is in order; all together are, too."""
    for process, minutes in {"gw0": (1, 3, 5), "asker": (2, 4)}.items():
        lines = [{"v": 1, "event": "call", "at": f"2026-01-01T00:0{m}:00+00:00"} for m in minutes]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"requests-{process}.jsonl").write_text(text)
    assert [line["at"][15] for line in LogReader.of_folder(tmp_path).lines()] == list("12345")
    assert [line["at"][15] for line in LogReader.of_folder(tmp_path).look()] == list("12345")


def test_what_comes_is_read_once_and_whole(tmp_path: Path) -> None:
    """Half a line is not told before its other half is there; files that begin meanwhile are read, too."""
    path, reader = tmp_path / "requests-main.jsonl", LogReader.of_folder(tmp_path)
    assert reader.look() == []
    with path.open("ab", buffering=0) as file:
        file.write(b'{"v":1,"n":1}\n{"v":1,')
        assert [line["n"] for line in reader.look()] == [1]
        file.write(b'"n":2}\n')
        (tmp_path / "requests-main.2.jsonl").write_bytes(b'{"v":1,"n":3}\n')
        assert [line["n"] for line in reader.look()] == [2, 3]
    assert reader.look() == []
    assert reader.broken == 0


def test_every_line_is_as_its_schema_says(tmp_path: Path) -> None:
    """All events, with and without contents; a line that lacks what all have is not."""
    call = a_call(sample="s", use_case="u", seed=1, messages=ASKED, extra={"top_p": 1})
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
        (Wanted(), "abcn"),
        (Wanted(failed=True), "bn"),
        (Wanted(slow_s=2.0), "c"),
        (Wanted(category="timeout"), "b"),
        (Wanted(category="timeout.ttft"), "b"),
        (Wanted(category="time"), ""),
        (Wanted(model="lab/*"), "abn"),
        (Wanted(test="triage"), "ac"),
        (Wanted(test="tri*[0-9]"), "a"),
        (Wanted(failed=True, model="other/*"), ""),
    ],
)
def test_lines_are_chosen_by_what_is_wanted(wanted: Wanted, seen: str) -> None:
    """Failed, slow, of a category, a model, a test."""
    lines = {
        "a": {"event": "call", "outcome": "answered", "model": "lab/m", "test": "triage-1", "duration_s": 1.0},
        "b": {"event": "call", "outcome": "failed", "category": "timeout.ttft", "model": "lab/m", "test": "x"},
        "c": {"event": "call", "outcome": "answered", "model": "other/m", "test": "triage-x", "duration_s": 3.0},
        "n": {"event": "note", "level": "warning", "model": "lab/m"},
        "l": {"event": "log"},
    }
    assert "".join(name for name, line in lines.items() if wanted.holds(line)) == seen


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
