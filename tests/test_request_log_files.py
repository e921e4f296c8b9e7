"""The files of the request log: bounded, private, whole lines, whatever is killed or full; and how they are read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from logged_calls import REPLY, failed, written
from seen_calls import a_call

from pytest_llmbench.observe import log_files, request_log
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.observe.log_files import LogFiles, files_in
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.observe.request_log import RequestLog


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
from logged_calls import failed
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


def test_a_call_that_takes_long_is_told_when_it_does_and_not_at_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it began: a process that is killed a moment later leaves the line behind."""
    monkeypatch.setattr(request_log, "LONG_S", 1.0)
    monkeypatch.setattr(request_log, "_LOOK_S", 0.9)
    log = RequestLog(tmp_path, "r1", "main", print)
    time.sleep(0.1)
    log.begins(a_call())
    time.sleep(1.4)
    told = [line for line in LogReader.of_folder(tmp_path).lines() if line["event"] == "waiting"]
    log.close()
    assert [line["waited_s"] for line in told] == [pytest.approx(1.0, abs=0.3)]


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
