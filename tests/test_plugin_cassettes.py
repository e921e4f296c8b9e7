"""`--record`, `--replay` and `--dry-run` in sessions: without keys, without a network, without a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=9)
    def test_answer(reply, sample):
        assert reply.text == sample.expected

    @pytest.mark.models("lab/m")
    def test_free(model):
        assert [model.ask("again").text for _ in range(2)]
"""
CONFIG = """
    providers:
      lab:
        url: '{url}'
        key_env: H_TEST_KEY
        models: {{m: {{price: {{input: 1, output: 2}}}}}}
"""


@pytest.fixture
def provider(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoProvider]:
    """Answers in capitals, as `lab/m`, whoever has the key; ten samples."""
    monkeypatch.setenv("H_TEST_KEY", "key-for-the-lab-0815")
    with DemoProvider(_capitals) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(CONFIG.format(url=running.url))
        rows = [json.dumps({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"}) for n in range(10)]
        pytester.path.joinpath("questions.jsonl").write_text("\n".join(rows))
        pytester.makepyfile(SUITE)
        yield running


def _capitals(body: dict[str, Any]) -> Answer:
    return Answer(body["messages"][-1]["content"].upper())


def outcomes(pytester: pytest.Pytester) -> list[tuple[str, str]]:
    run = stored_run(pytester)
    texts = {reply.id: reply.text for reply in run.replies}
    return sorted((each.nodeid, each.outcome, *map(texts.__getitem__, each.reply_ids)) for each in run.results)  # type: ignore[misc]


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_recorded_session_is_replayed_without_key_and_without_a_call(
    pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Same results, -n or not; nothing is spent, and the replies say that they are replayed."""
    recorded = pytester.runpytest_subprocess("--llmbench-record=c.jsonl", *arguments)
    assert recorded.ret == 0, recorded.stdout.str() + recorded.stderr.str()
    live, calls = outcomes(pytester), len(provider.chats())
    assert "key-for-the-lab-0815" not in pytester.path.joinpath("c.jsonl").read_text()

    monkeypatch.delenv("H_TEST_KEY")
    replayed = pytester.runpytest_subprocess("--llmbench-replay=c.jsonl", "--llmbench-max-cost=0.000001", *arguments)
    assert replayed.ret == 0, replayed.stdout.str() + replayed.stderr.str()
    assert outcomes(pytester) == live
    assert len(live) == 11
    assert calls == len(provider.chats()) == 12
    run = stored_run(pytester)
    assert {reply.cost.source for reply in run.replies} == {"replayed"}
    assert {reply.cost.spent for reply in run.replies} == {Decimal(0)}
    replayed.stdout.fnmatch_lines(["*$0 (replayed)*", "*12 replies from a cassette*"])


def test_what_the_cassette_lacks_is_an_infra_error_and_no_call(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """One sample changed since: that test alone ends without a score, and nobody was asked."""
    assert pytester.runpytest_subprocess("--llmbench-record=c.jsonl").ret == 0
    calls = len(provider.chats())
    questions = pytester.path.joinpath("questions.jsonl")
    questions.write_text(questions.read_text().replace("say 3", "say three"))
    result = pytester.runpytest_subprocess("--llmbench-replay=c.jsonl", "-k", "test_answer")
    assert result.ret == 11
    result.stdout.fnmatch_lines(["*cassette.miss*"])
    ended = {each.sample: each.outcome for each in stored_run(pytester).results}
    assert [sample for sample, outcome in ended.items() if outcome != "right"] == ["s3"]
    assert ended["s3"] == "infra_error"
    assert len(provider.chats()) == calls


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_dry_run_tells_calls_tokens_and_cost_and_does_nothing(
    pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Exit code 0, no key needed, no call, no file made, no test run; what it cannot foresee is counted apart."""
    monkeypatch.delenv("H_TEST_KEY")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llmbench-dry-run=true", *arguments)
    assert result.ret == 0, result.stdout.str()
    # 10 × (2 tokens of text + 4 of the message) in, 10 × 9 out, at $1 and $2 a million.
    result.stdout.fnmatch_lines(
        [
            "*nothing was asked; 11 tests would run*",
            "lab/m*",
            "*10 * 60 * 90 * $0.00024 *",
            "*1 test asks only while it runs*",
        ]
    )
    assert provider.chats() == []
    assert not pytester.path.joinpath(".llmbench").exists()


def test_a_dry_run_knows_what_was_answered_and_what_a_cassette_holds(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """On --resume only the rest is counted; with --replay nothing is, and misses are told."""
    assert pytester.runpytest_subprocess("--llmbench-record=c.jsonl", "-k", "s1 or s2").ret == 0
    calls = len(provider.chats())
    resumed = pytester.runpytest_subprocess("--llmbench-dry-run=true", "--llmbench-resume=last")
    resumed.stdout.fnmatch_lines(["*  8  *", "*2 stored already*", "*as its last 2 replies*"])
    replayed = pytester.runpytest_subprocess("--llmbench-dry-run=true", "--llmbench-replay=c.jsonl")
    replayed.stdout.fnmatch_lines(["*2 answered by the cassette*8 missing in the cassette*"])
    assert len(provider.chats()) == calls


def test_record_and_replay_at_once_are_refused(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """Before anything is asked, with what to do."""
    pytester.path.joinpath("c.jsonl").touch()
    result = pytester.runpytest_subprocess("--llmbench-record=c.jsonl", "--llmbench-replay=c.jsonl")
    assert result.ret == 4
    assert "--record and --replay at once" in result.stderr.str() + result.stdout.str()
    assert provider.chats() == []
