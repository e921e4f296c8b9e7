"""A canary through everything at once: log with contents, traces, cache, judges, routes, chat, kills, and a search
through every byte that is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import forms, holding
from otlp_collector import Collector

from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction
from pytest_llmbench.observe.log_reading import LogReader

KEYS = {
    "LAB_KEY": "env-canary-0f3b/91ce77d2",
    "JUDGE_KEY": "judge-canary+5a61e0==c7",
    "COLLECTOR_KEY": "collector-canary-77aa-2b19",
}
COMMAND_KEY = "command-canary-66ab.40fe12"
EVERY = (*KEYS.values(), COMMAND_KEY)
SAID = " and ".join(EVERY)

RECORD = "--llmbench-record=cassette.jsonl"

SUITE = """
    import os, signal, sys
    from pathlib import Path
    import pytest

    ROUTED = pytest.mark.judge("route/careful", rubric="It answers the question.")

    @pytest.mark.models("lab/any", "claude/any")
    @pytest.mark.dataset("samples.jsonl", max_tokens=50)
    def test_reply(reply, model):
        print("stdout", model.api_key.reveal(), file=sys.stderr)
        assert reply.text == model.api_key.reveal()

    @pytest.mark.models("lab/any")
    def test_refused(model):
        model.ask(f"refuse {model.api_key.reveal()}")

    @pytest.mark.models("lab/any")
    @ROUTED
    def test_judged(model, judge):
        assert judge(model.ask("What is the key?"), "What is the key?")

    @pytest.mark.models("lab/any")
    def test_dies(model):
        marker = Path("died")
        key = model.api_key.reveal()
        model.ask("before the end")
        if os.environ.get("DIES") and not marker.exists():
            marker.touch()
            print(key, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
"""


def answer(body: dict[str, object]) -> Reaction:
    """A provider that repeats the keys of all its customers, in answers, errors, headers and its own name."""
    echoed = {"x-echo": KEYS["LAB_KEY"], "x-request-id": KEYS["JUDGE_KEY"]}
    if "refuse" in str(body["messages"]):
        return Failure(400, f"keys {SAID!r} and authorization: Bearer {COMMAND_KEY} are refused", headers=echoed)
    if body["model"] == "broken":
        return Failure(500, f"Bearer {SAID}", headers=echoed)
    return Answer(f"your keys are {SAID}", served_model=f"model of {SAID}", headers=echoed, prompt_tokens=9)


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is kept for the user, and the place of temporary files."""
    home, scratch = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("t")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name))
    monkeypatch.setenv("TMPDIR", str(scratch))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return [home, scratch]


@contextlib.contextmanager
def everything(pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A project that uses all of it, its provider and its collector of traces."""
    pytester.makepyfile(test_keys=SUITE)
    samples = "\n".join(f'{{"id": "{n}", "input": "what is {n}?", "expected": ""}}' for n in range(3))
    (pytester.path / "samples.jsonl").write_text(samples)
    own = home / "XDG_CONFIG_HOME" / "pytest-llmbench" / "llmbench.yaml"
    own.parent.mkdir(parents=True)
    with DemoProvider(answer) as provider, Collector() as collector:
        own.write_text(
            f"providers:\n  claude: {{url: '{provider.url}', format: anthropic, key_command: 'echo {COMMAND_KEY}'}}\n"
        )
        (pytester.path / "llmbench.yaml").write_text(
            f"providers:\n  lab: {{url: '{provider.url}/v1', key_env: LAB_KEY}}\n"
            f"  court: {{url: '{provider.url}/v1', key_env: JUDGE_KEY}}\n"
            "routes: {careful: {models: [court/broken, court/judge]}}\n"
            "alerts: {error_rate: 0.01}\n"
        )
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={KEYS['COLLECTOR_KEY']}")
        yield collector
    own.unlink()


def run(pytester: pytest.Pytester, *more: str) -> int:
    """Run it with all that shows and keeps; what it prints is kept, too."""
    result = pytester.runpytest_subprocess(
        *["-l", "-vv", "--showlocals", "-rA", "--log-file=debug.log", "--log-file-level=DEBUG"],
        *["-o", "log_cli=true", "--log-cli-level=DEBUG", "--junitxml=junit.xml", "--llmbench-report=html,json,csv"],
        *["--llmbench-request-log=content", "--llmbench-log-console=calls", "--llmbench-traces=true"],
        *["--llmbench-cache=on", "--llmbench-attempts=1", *more],
        timeout=120,
    )
    with (pytester.path / "told.txt").open("a") as file:
        file.write(f"{result.stdout.str()}\n{result.stderr.str()}\n")
    return int(result.ret)


def verb(pytester: pytest.Pytester, *words: str) -> None:
    """A verb of ours, what it prints kept."""
    with (pytester.path / "told.txt").open("ab") as file:
        command = [sys.executable, "-m", "pytest_llmbench", *words]
        subprocess.run(command, cwd=pytester.path, check=False, stdout=file, stderr=file, stdin=subprocess.DEVNULL)


def lines(pytester: pytest.Pytester) -> list[dict[str, object]]:
    """Of the logs of all runs."""
    folders = sorted((pytester.path / ".llmbench" / "logs").iterdir())
    return [dict(line) for folder in folders for line in LogReader.of_folder(folder).lines()]


def found(pytester: pytest.Pytester, folders: list[Path], collector: Collector) -> list[tuple[str, bytes]]:
    """Keys in what was left behind, and in what the collector was sent besides its own header."""
    sent = pytester.path / "sent-to-the-collector.bin"
    sent.write_bytes(b"\n".join(collector.bodies))
    (pytester.path / "llmbench.yaml").unlink()
    wanted = {form for key in EVERY for form in forms(key)}
    return [each for folder in (pytester.path, *folders) for each in holding(folder, wanted)]


def test_no_byte_of_a_run_with_everything_on_holds_a_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, folders: list[Path]
) -> None:
    """A provider that repeats all keys wherever it can: terminal, debug log, request log with contents, its exports,
    database, cache, cassette, JUnit, reports, traces."""
    with everything(pytester, folders[0], monkeypatch) as collector:
        run(pytester, RECORD)
        verb(pytester, "log", "--json", "--content", "-o", "exported.jsonl")
        verb(pytester, "log", "--content", "--failed")
        verb(pytester, "log", "--csv", "--content", "-o", "exported.csv")
    told = lines(pytester)
    assert {"answered", "failed"} <= {line.get("outcome") for line in told}
    assert {"subject", "judge"} <= {line.get("role") for line in told}
    assert any("[redacted]" in str(line.get("text")) for line in told)
    assert any("[redacted]" in str(line.get("served_model")) for line in told)
    assert any("[redacted]" in str(line.get("message")) for line in told)
    assert (pytester.path / "exported.jsonl").stat().st_size > 1000
    assert collector.spans
    assert (pytester.path / ".llmbench" / "cache" / "cache.db").exists()
    assert found(pytester, folders, collector) == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_byte_of_runs_that_are_killed_and_go_on_holds_a_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, folders: list[Path], workers: str
) -> None:
    """kill -9 of the run, or of a worker; --resume; a run from the cache; chats; write-ahead logs as they were left."""
    monkeypatch.setenv("DIES", "1")
    with everything(pytester, folders[0], monkeypatch) as collector:
        first = run(pytester, "-n", workers, RECORD)
        assert (pytester.path / "died").exists()
        assert first == -signal.SIGKILL if workers == "0" else first > 0
        run(pytester, "-n", workers, "--llmbench-resume=last")
        for _ in range(2):  # the second one is answered by the cache; what is recorded never is
            run(pytester, "-n", workers, "-k", "test_reply")
        # Not asked of `claude`, these would not run its key_command: a key that nobody gave them they cannot know.
        monkeypatch.setenv("CLAUDE_API_KEY", COMMAND_KEY)
        verb(pytester, "chat", "-m", "lab/any", "--request-log=content", f"repeat {KEYS['LAB_KEY']}")
        verb(pytester, "chat", "-m", "route/careful", "--no-stream", f"refuse {KEYS['JUDGE_KEY']}")
        verb(pytester, "cache", "stats")
        verb(pytester, "log", "--content")
        verb(pytester, "report", "last")
    assert "cached" in {line.get("outcome") for line in lines(pytester)}
    assert found(pytester, folders, collector) == []
    assert os.environ["LAB_KEY"] == KEYS["LAB_KEY"]
