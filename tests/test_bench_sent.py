"""What a measurement sends stands in the request log: a line a request, written while nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from otlp_collector import Collector
from seen_calls import Onlooker
from served_sessions import KEY, session_in, stored
from stands import dirty_for, measured, of_provider, stand_of

from pytest_llmbench.bench import Planned
from pytest_llmbench.bench.account import Account
from pytest_llmbench.cli import main
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import ExitCode, WireError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.observe.log_reading import LogReader

ANSWER = Answer("one two three", prompt_tokens=7, itl_s=0.001)


class Awaiting(Onlooker):
    """Remembers also how often it was asked to have all written, and when."""

    flushed: int = 0

    def flush(self) -> None:
        self.flushed = len(self.ended)


def of_stand(folder: Path, script: Any, load: Any, *, window: Any = None) -> list[CallEnded]:
    """What an onlooker is told of a load on a stand."""
    onlooker = Awaiting()
    with DemoProvider(script) as provider:
        name = of_provider(folder, provider.url)
        with session_in(folder, retakes="2") as session:
            session.__dict__["observer"] = onlooker
            with stand_of(session, name, window=window) as stand:
                load(stand)
                stand._account.tell()
    assert onlooker.flushed == len(onlooker.ended)
    assert onlooker.begun == []
    return onlooker.ended


def plan(count: int) -> list[Planned]:
    return [Planned(index, 0, f"prompt {index}", 3) for index in range(count)]


def test_each_request_of_a_measurement_is_told_once_when_nothing_is_timed_any_more(tmp_path: Path) -> None:
    """Warm-ups, too; whose they are, which repetition, of which measurement; not one while another is under way."""
    onlooker, amid = Awaiting(), []

    def look(_: dict[str, Any]) -> Answer:
        amid.append(len(onlooker.ended))
        return ANSWER

    with DemoProvider(look) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no") as session:
            session.__dict__["observer"] = onlooker
            taken = measured(session, name, "interactive", rounds=2, output_tokens=3)
            sent = len(provider.chats())
    assert set(amid) == {0}
    assert len(onlooker.ended) == sent == len(taken.repetitions) + 1
    calls = [ended.call for ended in onlooker.ended]
    assert [call.repetition for call in calls] == [-1, *(each.index for each in taken.repetitions)]
    assert {(call.profile, call.measurement, call.test_key) for call in calls} == {("interactive", taken.id, KEY)}
    assert {(call.model, call.provider, call.role) for call in calls} == {("lab/m", "lab", "subject")}
    assert len({call.correlation_id for call in calls}) == sent
    for ended, repetition in zip(onlooker.ended[1:], taken.repetitions, strict=True):
        assert ended.ttft_s == repetition.timing.ttft_s
        assert ended.duration_s is not None
        assert ended.duration_s >= (repetition.timing.e2e_s or 0)
        assert (ended.cost.amount, ended.usage) == (0, repetition.usage)
    assert [ended.call.begun_at for ended in onlooker.ended] == sorted(call.begun_at for call in calls)


def test_servers_are_let_go_where_the_telling_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C, amid what follows on the first."""
    done: list[str] = []

    def interrupted(_: Account) -> None:
        done.append("telling")
        raise KeyboardInterrupt

    monkeypatch.setattr(Account, "tell", interrupted)
    monkeypatch.setattr(Account, "let_go", lambda _: done.append("let go"))
    with DemoProvider(ANSWER) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no") as session, pytest.raises(KeyboardInterrupt):
            measured(session, name, "interactive", rounds=1, output_tokens=3)
    assert done[-2:] == ["telling", "let go"]


def test_a_long_measurement_tells_between_two_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, and not in its end alone: a kill would lose hours of it."""
    monkeypatch.setattr("pytest_llmbench.bench.stand._COLLECT_EVERY_S", -1.0)
    onlooker, amid = Awaiting(), []

    def look(_: dict[str, Any]) -> Answer:
        amid.append(len(onlooker.ended))
        return ANSWER

    with DemoProvider(look) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            session.__dict__["observer"] = onlooker
            with stand_of(session, name) as stand:
                for each in plan(3):
                    stand.ask(each)
    assert amid == [0, 1, 2]
    assert onlooker.flushed == 3


def test_a_refused_field_a_failure_and_a_second_try_are_calls_of_their_own(tmp_path: Path) -> None:
    """The log says what was sent, and not what the measurement made of it."""
    seen: list[int] = []

    def strict(body: dict[str, Any]) -> Answer | Failure:
        if "cache_prompt" in body:
            return Failure(400, "unknown field cache_prompt")
        seen.append(1)
        return Failure(500, "broken") if len(seen) == 3 else ANSWER

    def load(stand: Any) -> None:
        for each in plan(2):
            stand.ask(each)
        with pytest.raises(WireError):
            stand.ask(plan(3)[2])

    ended = of_stand(tmp_path, strict, load)
    told = [(each.call.repetition, each.call.attempt, str(each.outcome), each.category) for each in ended]
    assert told == [
        (0, 1, "failed", "invalid_request"),
        (0, 2, "answered", ""),
        (1, 1, "answered", ""),
        (2, 1, "failed", "server"),
    ]


def test_what_is_taken_again_and_what_is_broken_off_is_told_too(tmp_path: Path) -> None:
    """A repetition that others disturbed was sent twice; a load that is left has requests without an answer."""
    again = of_stand(tmp_path, ANSWER, lambda stand: stand.ask(plan(1)[0]), window=dirty_for(1))
    assert [(each.call.repetition, each.call.attempt) for each in again] == [(0, 1), (0, 2)]

    def left(stand: Any) -> None:
        load = stand.ask_all(plan(4), concurrency=2)
        next(load)
        load.close()

    quick_first = [ANSWER, Answer("one two three", ttft_s=30.0)]
    outcomes = [str(each.outcome) for each in of_stand(tmp_path, quick_first, left)]
    assert outcomes[0] == "answered"
    assert outcomes[1:]
    assert set(outcomes[1:]) == {"cancelled"}


def test_a_measurement_stands_in_the_log_and_in_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As lines that `llmbench log` shows as what they are; sending spans would cost the next load its processor."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    with Collector() as collector, DemoProvider(ANSWER) as provider:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no", traces="true", request_log="content") as session:
            taken = measured(session, name, "interactive", rounds=1, output_tokens=3)
            run_id, replies = session.run_id, stored(session).replies
        assert collector.named("chat ") == []
        assert len(collector.named("run")) == 1
    folder = tmp_path / ".llmbench" / "logs" / run_id
    lines = [dict(line) for line in LogReader.of_folder(folder).lines() if line["event"] == "call"]
    assert len(lines) == len(taken.repetitions) + 1 == len(replies) + 1
    assert {(line["profile"], line["measurement"]) for line in lines} == {("interactive", taken.id)}
    assert {line["text"] for line in lines} == {"one two three"}
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["log"]) == ExitCode.OK
    first, *shown, tally = capsys.readouterr().out.splitlines()
    assert "interactive warm-up" in first
    assert "interactive #0" in shown[0]
    assert tally == f"{len(lines)} calls: {len(lines)} answered, {len(lines)} to measure"
    assert main(["log", "--test", "interactive", "--json"]) == ExitCode.OK
    assert len(capsys.readouterr().out.splitlines()) == len(lines)


def test_what_was_measured_or_went_out_in_a_batch_is_no_traffic_to_be_replayed(tmp_path: Path) -> None:
    """A log of tests, measurements and batches: the traffic is what tests asked one by one."""
    from pytest_llmbench.profiles.load_trace import read_trace

    usual = {"v": 1, "event": "call", "model": "lab/m", "outcome": "answered", "prompt_tokens": 5}
    usual |= {"completion_tokens": 3, "begun_at": "2026-01-01T00:00:00+00:00"}
    lines = [usual, {**usual, "profile": "interactive", "repetition": 0}, {**usual, "batch": "b1"}]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(read_trace(path).arrivals) == 1
