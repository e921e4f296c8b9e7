"""`llmbench log`: what a run asked, while it goes on, after it ended, and after it was killed."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import store_samples
from suite_runs import stored_run

from pytest_llmbench.cli import log, main, observe_verbs
from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.observe.log_choice import SLOW_S
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.store import Store

LLMBENCH = (sys.executable, "-m", "pytest_llmbench")

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("samples.jsonl", max_tokens=20)
    def test_reply(reply):
        assert reply.text

    @pytest.mark.models("lab/m")
    def test_refused(model):
        model.ask("refuse me")
"""


SAMPLES = "\n".join(json.dumps({"id": name, "input": f"what is {name}?"}) for name in ("=1+1", "b", "c"))


def react(counted: Iterator[int]) -> Callable[[dict[str, Any]], Reaction]:
    """Refuses its second request for its rate, and what says so for good."""

    def answer(body: dict[str, Any]) -> Reaction:
        if "refuse" in str(body["messages"]):
            return Failure(400, "this \x1b[31mcannot\u202e be")
        if next(counted) == 1:
            return Failure(429, "slow down", headers={"retry-after": "0.2"})
        return Answer("an answer", prompt_tokens=7)

    return answer


def project_in(folder: Path, url: str, suite: str = SUITE) -> Path:
    """A project whose only model is that provider's."""
    (folder / "test_asks.py").write_text(textwrap.dedent(suite))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "samples.jsonl").write_text(SAMPLES)
    (folder / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{url}'}}\n")
    return folder


@pytest.fixture(scope="module")
def provider() -> Iterator[DemoProvider]:
    with DemoProvider(react(itertools.count())) as provider:
        yield provider


@pytest.fixture(autouse=True)
def _anew(provider: DemoProvider) -> None:
    """Each test counts from its first request."""
    provider.follow(react(itertools.count()))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, provider: DemoProvider) -> Path:
    """A project with one run that has logged contents."""
    folder = project_in(tmp_path_factory.mktemp("asked"), provider.url)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--llmbench-request-log=content"]
    subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def project(pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of one test; we stand in it."""
    project_in(pytester.path, provider.url)
    monkeypatch.chdir(pytester.path)
    return pytester


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What the verb prints, in lines."""
    capsys.readouterr()
    assert main(["log", *words]) == ExitCode.OK
    return capsys.readouterr().out.splitlines()


def test_a_run_is_shown_call_by_call(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answered, refused and tried again, failed with its reason made safe to show; filters; a sum at the end."""
    monkeypatch.chdir(asked)
    lines = shown(capsys)
    text = "\n".join(lines)
    assert sum("answered" in line for line in lines[:-1]) == 3
    assert "rate_limited" in text
    assert "HTTP 429: slow down; again in" in text
    assert "try 2" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert lines[-1].startswith("5 calls: 3 answered, 2 failed (1 rate_limited, 1 invalid_request)")
    failed = shown(capsys, "--failed")
    assert not any(" answered" in line for line in failed[:-1])
    assert shown(capsys, "--category", "invalid_request")[-1] == "1 of 5 calls: 1 failed (1 invalid_request)"
    assert shown(capsys, "--model", "other/*") == ["0 of 5 calls"]
    assert shown(capsys, "--slow") == ["0 of 5 calls"]
    assert shown(capsys, "--test", "refused")[-1].startswith("1 of 5 calls")
    assert shown(capsys, "--slow", "0.0000001")[-1].startswith("5 calls")


def test_it_is_exported_for_programs_and_sheets(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON Lines as they were written, CSV that no sheet takes for a formula; contents where they are asked for."""
    monkeypatch.chdir(asked)
    told = [json.loads(line) for line in shown(capsys, "--json", "--test", "test_reply")]
    assert {line["sample"] for line in told} == {"=1+1", "b", "c"}
    assert not any("text" in line or "messages" in line for line in told)
    rows = list(csv.DictReader(io.StringIO("\n".join(shown(capsys, "--csv")))))
    assert {row["sample"] for row in rows} == {"'=1+1", "b", "c", ""}
    assert shown(capsys, "last", "-o", "log.jsonl", "--content") == []
    kept = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert {line.get("text") for line in kept if line.get("outcome") == "answered"} == {"an answer"}
    again = shown(capsys, "log.jsonl", "--content")
    assert any(line.strip() == "user: what is b?" for line in again)


def test_a_log_is_not_written_over_itself(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whatever name; it stays as it was."""
    monkeypatch.chdir(asked)
    [path] = next((asked / ".llmbench" / "logs").iterdir()).glob("requests-*.jsonl")
    (tmp_path / "link.jsonl").symlink_to(path)
    before = path.read_bytes()
    for words in ((str(path), "-o", str(path)), ("last", "-o", str(path)), (str(path), "-o", f"{tmp_path}/link.jsonl")):
        assert main(["log", *words]) == ExitCode.USAGE
        assert "is the log that is read" in capsys.readouterr().err
        assert path.read_bytes() == before
    assert main(["log", "-o", str(tmp_path)]) == ExitCode.USAGE
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_disk_that_is_full_or_may_not_be_written_is_told_in_words(
    form: str, asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and what stands in the file is not taken for the whole log."""
    monkeypatch.chdir(asked)
    for path, why in (("/dev/full", "No space left on device"), ("nowhere/log", "No such file or directory")):
        assert main(["log", form, "-o", path]) == ExitCode.USAGE
        told = capsys.readouterr().err
        assert told.startswith(f"llmbench: error: {path} cannot be written: {why}")
        assert "Traceback" not in told
    assert main(["log", "-o", "/dev/full", form]) == ExitCode.USAGE
    assert "not the whole log" in capsys.readouterr().err


def test_a_run_is_followed_with_its_database_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opening one that is being written to looks through all of it; that the run has ended is seen all the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log, "_IS_OVER_S", 0.05)
    monkeypatch.setattr(log, "_POLL_S", 0.02)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    opened, real = [], Store.open

    def counted(path: Path) -> Store:
        opened.append(path)
        return real(path)

    with contextlib.closing(Store.open(tmp_path / ".llmbench" / "results.db")) as store:
        store.ensure_run(store_samples.run("run-a", "2025-01-01T00:00:00+00:00"))
        monkeypatch.setattr(Store, "open", counted)
        end = threading.Timer(0.4, store.finish_run, ("run-a", 0))
        end.start()
        assert shown(capsys, "--follow") == ["0 calls"]
        end.join()
    assert len(opened) == 1


def test_a_run_without_a_log_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of before there was a log, one that has asked nothing yet, a file that is not there, two forms at once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    with contextlib.closing(Store.open(tmp_path / ".llmbench" / "results.db")) as store:
        store.ensure_run(store_samples.run("run-a", "2025-01-01T00:00:00+00:00"))
        store.finish_run("run-a", 0)
        store.ensure_run(store_samples.run("run-b", "2025-01-02T00:00:00+00:00"))
    for words, why in {
        ("run-a",): "run run-a has no request log",
        ("run-b",): "run run-b has asked no model yet",
        ("nothing.jsonl",): "no file nothing.jsonl",
        ("x" * 300,): "x" * 300,
        ("pytest.ini",): "pytest.ini is no request log",
        ("",): "no run",
        ("--json", "--csv"): "two forms of the same",
    }.items():
        assert main(["log", *words]) == ExitCode.USAGE
        assert why in capsys.readouterr().err


def test_a_chat_is_shown_as_a_run_is(
    tmp_path: Path, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id, and as the last one where no run is stored."""
    monkeypatch.chdir(project_in(tmp_path, provider.url))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    words = [*LLMBENCH, "chat", "-m", "lab/m", "--no-stream", "hello"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    [folder] = (tmp_path / ".llmbench" / "logs").iterdir()
    assert shown(capsys)[-1] == "1 call: 1 answered"
    assert "chat: " in shown(capsys, folder.name)[0]


def test_the_last_call_of_a_run_is_shown_too(project: pytest.Pytester) -> None:
    """The log is written by a thread, and read by another: nothing that ended is left out in the end."""
    project.makepyfile(
        test_asks="""
        import pytest

        @pytest.mark.models("lab/m")
        def test_last(model):
            assert model.ask("one").text
        """
    )
    result = project.runpytest_subprocess("-q", "--llmbench-log-console=calls")
    [line] = [line for line in result.outlines if "lab/m  test_last" in line and "answered" in line]
    assert line[2] == line[5] == ":"


def test_what_the_log_tells_is_said_in_the_end(project: pytest.Pytester) -> None:
    """Not by its own thread, amid what pytest captures: once, in a line of its own."""
    (project.path / ".llmbench").mkdir()
    (project.path / ".llmbench" / "logs").write_text("in the way")
    result = project.runpytest_subprocess("-q")
    told = [line for line in result.outlines if "the request log cannot be written" in line]
    assert len(told) == 1
    assert told[0].startswith("llmbench: ")


def test_problems_are_shown_while_tests_run(project: pytest.Pytester) -> None:
    """With log_console=problems: a line for what failed and what was tried again, none for what was answered."""
    result = project.runpytest_subprocess("-q", "--llmbench-log-console=problems")
    lines = [line for line in result.outlines if "lab/m  test_" in line]
    assert [line.split()[3] for line in lines] == ["rate_limited", "invalid_request"]
    assert "\x1b" not in "\n".join(lines)


@pytest.mark.slow
def test_a_run_of_several_processes_has_one_log(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    """Under xdist the asker's process writes it; the console shows the same."""
    result = project.runpytest_subprocess("-q", "-n", "2", "--llmbench-log-console=calls")
    assert sum("lab/m  test_" in line for line in result.outlines) == 5
    run = stored_run(project)
    assert list(files_in(project.path / ".llmbench" / "logs" / run.id)) == ["asker"]
    assert shown(capsys)[-1].startswith("5 calls: 3 answered, 2 failed")


def test_a_killed_run_has_all_that_ended_before(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    """kill -9 amid the third call: two are there, whole; --follow waits for no more."""
    project.makepyfile(
        test_asks="""
        import os, signal
        import pytest

        @pytest.mark.models("lab/m")
        def test_dies(model):
            model.ask("one")
            model.ask("two")
            import time; time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    result = project.runpytest_subprocess("-q", timeout=60)
    assert result.ret == -signal.SIGKILL
    assert shown(capsys)[-1].startswith("3 calls: 2 answered, 1 failed (1 rate_limited)")


@pytest.mark.slow
def test_a_run_is_followed_until_it_ends(project: pytest.Pytester, provider: DemoProvider) -> None:
    """Lines come while the run goes on; the verb ends by itself when the run has."""

    def slowly(_body: dict[str, Any]) -> Reaction:
        time.sleep(0.5)
        return Answer("slowly")

    provider.follow(slowly)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--llmbench-max-concurrency=1"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environ) as run:
        while not list(project.path.glob(".llmbench/logs/*/requests-*.jsonl")):
            assert run.poll() is None
            time.sleep(0.05)
        with subprocess.Popen(
            [*LLMBENCH, "log", "--follow"], stdout=subprocess.PIPE, text=True, env=environ
        ) as following:
            assert following.stdout is not None
            first = following.stdout.readline()
            went_on = run.poll() is None
            rest = following.stdout.read()
        run.wait()
    assert went_on
    assert "answered" in first
    assert following.returncode == 0
    assert rest.splitlines()[-1].startswith("4 calls: 4 answered")


def test_what_is_slow_is_said_the_same_everywhere() -> None:
    """The page of help names the number that is used."""
    assert observe_verbs.SLOW_S == SLOW_S


def test_samples_and_trials_are_named(asked: Path) -> None:
    """A correlation id for each call: run, test, sample, trial, attempt."""
    [folder] = (asked / ".llmbench" / "logs").iterdir()
    lines = LogReader.of_folder(folder).lines()
    ids = [line["id"].split("/") for line in lines if line["event"] == "call"]
    assert {(parts[0], len(parts), parts[3]) for parts in ids} == {(folder.name, 5, "0")}
    assert {parts[2] for parts in ids} == {"", "%3D1%2B1", "b", "c"}
    assert sorted(parts[4] for parts in ids) == ["1", "1", "1", "1", "2"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_printed_into_a_full_disk_is_told_in_words(asked: Path, unbuffered: str) -> None:
    """`llmbench log > FILE`, whether Python writes at once or at the end."""
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*LLMBENCH, "log"], check=False, cwd=asked, env=environ, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["llmbench: error: not all of it could be written: No space left on device", "  hint: make room on that disk"],
    )
