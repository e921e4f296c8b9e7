"""`llmbench runs` and `llmbench report`, on a real database."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import store_samples as samples
from terminals import on_a_terminal

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.store import Store

LLMBENCH = (sys.executable, "-m", "pytest_llmbench")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty project, and we stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.fixture
def stored(folder) -> Path:
    """A database with a finished run and a newer one that was killed; the first has a report."""
    path = folder / ".llmbench" / "results.db"
    with contextlib.closing(Store.open(path)) as store:
        store.ensure_run(samples.run("run-a", "2025-01-01T00:00:00+00:00"))
        store.save_result("run-a", samples.result())
        measurement = samples.measurement(repetitions=3)
        store.start_measurement("run-a", measurement)
        for repetition in measurement.repetitions:
            store.save_repetition(measurement.id, repetition)
        store.finish_measurement(measurement)
        store.save_gates("run-a", [samples.gate()])
        store.finish_run("run-a", 10)
        store.ensure_run(samples.run("run-b", "2025-01-02T00:00:00+00:00"))
    report = folder / ".llmbench" / "reports" / "run-a"
    report.mkdir(parents=True)
    (report / "report.html").write_text("a page")
    return path


def ids() -> list[str]:
    """The runs that are left."""
    with contextlib.closing(Store.open(Path(".llmbench/results.db"))) as store:
        return [run.id for run in store.runs()]


def test_list_shows_the_newest_run_first(stored, capsys):
    """With its exit code, revision and machine."""
    assert main(["runs", "list"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r" {2,}", lines[0]) == ["run", "started (UTC)", "exit code", "revision", "machine"]
    assert re.split(r" {2,}", lines[1])[::2] == ["run-b", "not finished", "A CPU"]
    assert re.split(r" {2,}", lines[2])[1:4] == ["2025-01-01 00:00", "10", "abc (changed)"]


def test_list_fits_a_terminal_of_80_columns(folder):
    """A row is a line: id and time are whole, revision and machine give way."""
    run = samples.run("20261121-052031-16eb52", "2026-11-21T06:20:31+01:00")
    host = dataclasses.replace(run.host, cpu_model="AMD EPYC 9654 96-Core Processor of a rather long name")
    run = dataclasses.replace(run, host=host, environment={"git_revision": "c134b4339f25", "git_dirty": True})
    with contextlib.closing(Store.open(folder / ".llmbench" / "results.db")) as store:
        store.ensure_run(run)
    lines = on_a_terminal("import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['runs', 'list']))")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("20261121-052031-16eb52  2026-11-21 05:20  not finished  c134b433")
    assert lines[1].rstrip().endswith("…")


def test_list_as_json(stored, capsys):
    """For programs."""
    assert main(["runs", "list", "--json"]) == ExitCode.OK
    assert [(run["id"], run["exit_code"]) for run in json.loads(capsys.readouterr().out)] == [
        ("run-b", None),
        ("run-a", 10),
    ]


@pytest.mark.parametrize("words", [["runs", "list"], ["runs", "show", "last"], ["report", "last"]])
def test_looking_into_nothing_makes_no_database(folder, words, capsys):
    """A question leaves no file behind."""
    assert main(words) == ExitCode.USAGE
    assert "no runs are stored in" in capsys.readouterr().err
    assert not (folder / ".llmbench").exists()


def test_show_prints_the_summary_of_a_run(stored, capsys):
    """What was printed at its end: host, model, gates, report; plain when piped."""
    assert main(["runs", "show", "run-a"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert text.startswith("run run-a, started 2025-01-01T00:00:00+00:00, exit code 10, revision abc (changed)\n")
    assert "A CPU" in text
    assert "tiny:Q4_1" in text
    assert "decode_tps p50 >= 5 tok/s" in text
    assert "report.html" in text
    assert "\x1b" not in text


def test_show_as_json_is_the_whole_record(stored, capsys):
    """Every repetition is in it."""
    assert main(["runs", "show", "run-a", "--json"]) == ExitCode.OK
    run = json.loads(capsys.readouterr().out)
    assert len(run["measurements"][0]["repetitions"]) == 3


def test_a_wrong_run_is_told_with_near_ones(stored, capsys):
    """The ids that could be meant are named."""
    assert main(["runs", "show", "run"]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "run-a" in error
    assert "run-b" in error


def test_remove_takes_the_run_its_reports_and_logs(stored, folder):
    """And nothing else."""
    for run in ("run-a", "run-b"):
        (folder / ".llmbench" / "logs" / run).mkdir(parents=True)
        (folder / ".llmbench" / "logs" / run / "server.log").write_text("loaded")
    assert main(["runs", "rm", "run-a", "--yes"]) == ExitCode.OK
    assert ids() == ["run-b"]
    assert not (folder / ".llmbench" / "reports" / "run-a").exists()
    assert [path.name for path in (folder / ".llmbench" / "logs").iterdir()] == ["run-b"]


def test_remove_checks_all_names_before_it_removes_one(stored, capsys):
    """A typo in the second name does not leave half the work done."""
    assert main(["runs", "rm", "run-a", "run-x", "--yes"]) == ExitCode.USAGE
    assert ids() == ["run-b", "run-a"]


def test_remove_does_nothing_where_nobody_can_be_asked(stored):
    """A script has to say `--yes`."""
    done = subprocess.run([*LLMBENCH, "runs", "rm", "last"], stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == ExitCode.USAGE
    assert ids() == ["run-b", "run-a"]


@contextlib.contextmanager
def asked(*words: str):
    """The command, waiting for an answer on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*LLMBENCH, *words], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout.read(6) == b"remove"
        yield process, ours
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", ["run-a"]), (b"\n", ["run-b", "run-a"])])
def test_remove_asks_on_a_terminal(stored, answer, left):
    """Only a yes is a yes."""
    with asked("runs", "rm", "last") as (process, terminal):
        os.write(terminal, answer)
        assert process.wait(60) == ExitCode.OK
    assert ids() == left


def test_ctrl_c_ends_with_exit_code_2(stored):
    """One word, no traceback, nothing removed."""
    with asked("runs", "rm", "last") as (process, _):
        # The first may come between Python's last look for signals and its blocking read, and wait there.
        for _attempt in range(12):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)  # a second one while Python ends would kill it
                break
        said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "llmbench: interrupted" in said
    assert "Traceback" not in said
    assert ids() == ["run-b", "run-a"]


def test_a_damaged_database_ends_with_exit_code_1(folder, capsys):
    """The machinery failed, not the caller; the file is named."""
    (folder / ".llmbench").mkdir()
    (folder / ".llmbench" / "results.db").write_bytes(b"not a database" * 100)
    assert main(["runs", "list"]) == ExitCode.TESTS_FAILED
    assert "results.db" in capsys.readouterr().err


@pytest.mark.parametrize("fmt", ["html", "json", "csv"])
def test_report_writes_the_format_that_was_asked_for(stored, folder, fmt, capsys):
    """To the file that was named, and says so."""
    assert main(["report", "run-a", "--format", fmt, "-o", "r"]) == ExitCode.OK
    assert capsys.readouterr().out == "r\n"
    text = Path("r").read_text()
    assert "tiny" in text
    assert (fmt == "html") == text.lower().startswith("<!doctype html>")


def test_report_lies_beside_the_others_by_default(stored, folder, capsys):
    """Where the run itself wrote its reports."""
    assert main(["report", "run-a", "--format", "json"]) == ExitCode.OK
    path = folder / ".llmbench" / "reports" / "run-a" / "report.json"
    assert capsys.readouterr().out == f"{path}\n"
    assert json.loads(path.read_text())


def test_report_to_standard_output(stored, capsys):
    """Byte for byte, for a pipe."""
    assert main(["report", "run-a", "--format", "csv", "-o", "-"]) == ExitCode.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    measured = [row for row in rows if row["profile"] != "gate"]
    assert [(row["model"], row["quant"]) for row in measured] == [("tiny", "Q4_1")]


def test_report_replaces_files_only(stored, tmp_path, capsys):
    """A folder or a device is never replaced by a page."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert main(["report", "run-a", "-o", str(fifo)]) == ExitCode.USAGE
    assert fifo.is_fifo()
    assert main(["report", "run-a", "-o", str(tmp_path)]) == ExitCode.USAGE
    assert "is not a file" in capsys.readouterr().err


def test_report_makes_no_folder_that_was_mistyped(stored, tmp_path, capsys):
    """The folder is named."""
    assert main(["report", "run-a", "-o", str(tmp_path / "nowhere" / "r.html")]) == ExitCode.USAGE
    assert f"there is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_report_into_a_file_as_folder_is_a_mistake_of_the_caller(stored, tmp_path, capsys):
    """The reason is told in one line."""
    (tmp_path / "file").write_text("")
    assert main(["report", "run-a", "-o", str(tmp_path / "file" / "r.html")]) == ExitCode.USAGE
    assert "cannot be written" in capsys.readouterr().err
