"""`--cache` in sessions: what was received before is given again, told wherever it is shown, and never measured."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import Run

KEY = "key-for-the-lab-0815"
SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=9)
    def test_answer(reply, sample):
        assert reply.text.startswith(sample.expected)

    @pytest.mark.models("lab/m")
    def test_free(model):
        texts = [model.ask("again", temperature=1.0).text for _ in range(3)]
        assert len(set(texts)) == 3
"""
CONFIG = """
    providers:
      lab:
        url: '{url}'
        key_env: H_TEST_KEY
        models: {{m: {{price: {{input: 1000, output: 2000}}}}}}
"""


class Script:
    """Answers in capitals, and says the how-manieth answer of all it is."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Answer:
        prompt = str(body["messages"][-1]["content"])
        self.asked[prompt] += 1
        return Answer(f"{prompt.upper()} {sum(self.asked.values())}", ttft_s=0.01)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, script: Script) -> Iterator[pytest.Pytester]:
    """A project with ten samples and a test that asks the same three times, and a provider that counts."""
    monkeypatch.setenv("H_TEST_KEY", KEY)
    with DemoProvider(script) as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(CONFIG.format(url=provider.url))
        rows = [json.dumps({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"}) for n in range(10)]
        pytester.path.joinpath("questions.jsonl").write_text("\n".join(rows))
        pytester.makepyfile(SUITE)
        yield pytester


def run(suite: pytest.Pytester, *flags: str, ret: int = 0) -> tuple[Run, str]:
    result = suite.runpytest_subprocess(*flags)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == ret, text
    return stored_run(suite), text


def texts(told: Run) -> list[tuple[str, str]]:
    return sorted((reply.request_hash, reply.text) for reply in told.replies)


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_second_run_asks_nothing_and_spends_nothing(
    suite: pytest.Pytester, script: Script, workers: tuple[str, ...]
) -> None:
    """Serial and under xdist: same replies, trial by trial, in every report counted; a budget that is nothing does."""
    first, told = run(suite, "--llmbench-cache=on", *workers)
    assert script.asked["again"] == 3
    assert sum(script.asked.values()) == 13
    assert "from the cache" not in told
    assert not any(reply.is_cached for reply in first.replies)

    again, told = run(suite, "--llmbench-cache=on", "--llmbench-max-cost=0.0000001", *workers)
    assert sum(script.asked.values()) == 13
    assert texts(again) == texts(first)
    assert {reply.cost.source for reply in again.replies} == {"cached"}
    assert {(reply.timing.e2e_s, reply.attempts) for reply in again.replies} == {(None, 0)}
    assert sum((reply.cost.spent for reply in again.replies), Decimal(0)) == 0
    assert "13 of 13 replies from the cache" in told
    assert "13 of 13 replies of models under test come from the response cache," in told
    assert "$0 (cached)" in told
    _is_in_reports(suite)


def _is_in_reports(suite: pytest.Pytester) -> None:
    [folder] = [each for each in suite.path.glob(".llmbench/reports/*") if each.name == stored_run(suite).id]
    told = json.loads((folder / "report.json").read_text())
    assert "come from the response cache" in told["provenance"][0]
    assert (told["costs"]["subject"]["cached"], told["costs"]["subject"]["usd"]) == (13, "0")
    assert Decimal(told["costs"]["subject"]["cached_usd"]) > 0
    assert told["asked"][0]["e2e_p50_s"] is None
    assert "13 replies came from the response cache" in (folder / "report.html").read_text()
    lines = (folder / "report.csv").read_text(encoding="utf-8-sig").splitlines()
    [row] = [each for each in csv.DictReader(lines) if each["replies"]]
    assert row["cached"] == "13"


@pytest.mark.slow
def test_without_it_everything_is_asked_and_nothing_is_kept(suite: pytest.Pytester, script: Script) -> None:
    """Off is the default; no file is made."""
    for _ in range(2):
        run(suite)
    assert sum(script.asked.values()) == 26
    assert not (suite.path / ".llmbench" / "cache").exists()


@pytest.mark.slow
def test_refreshing_asks_anew_and_replaces(suite: pytest.Pytester, script: Script) -> None:
    """Its replies are what later runs get; `defaults:` may choose the cache."""
    run(suite, "--llmbench-cache=on")
    refreshed, _ = run(suite, "--llmbench-cache=refresh")
    assert sum(script.asked.values()) == 26
    with (suite.path / "llmbench.yaml").open("a") as file:
        file.write("\n    defaults: {cache: on}\n")
    last, _ = run(suite)
    assert sum(script.asked.values()) == 26
    assert texts(last) == texts(refreshed)


@pytest.mark.slow
def test_what_changed_is_asked_and_the_rest_is_not(suite: pytest.Pytester, script: Script) -> None:
    """One sample edited, another key: what differs is paid for."""
    run(suite, "--llmbench-cache=on")
    rows = (
        suite.path.joinpath("questions.jsonl").read_text().replace("say 3", "say three").replace("SAY 3", "SAY THREE")
    )
    suite.path.joinpath("questions.jsonl").write_text(rows)
    again, told = run(suite, "--llmbench-cache=on")
    assert sum(script.asked.values()) == 14
    assert Counter(reply.is_cached for reply in again.replies) == {True: 12, False: 1}
    assert "12 of 13 replies from the cache" in told


@pytest.mark.slow
def test_another_key_asks_for_itself(suite: pytest.Pytester, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two credentials never share, though the file is one; neither key stands in it."""
    run(suite, "--llmbench-cache=on")
    monkeypatch.setenv("H_TEST_KEY", "another-key-of-the-lab-4711")
    again, _ = run(suite, "--llmbench-cache=on")
    assert sum(script.asked.values()) == 26
    assert not any(reply.is_cached for reply in again.replies)
    for file in (suite.path / ".llmbench" / "cache").iterdir():
        assert KEY.encode() not in file.read_bytes()
        assert b"another-key-of-the-lab" not in file.read_bytes()


FIFTY = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.parametrize("number", range(50))
    def test_same(model, number):
        assert model.ask("the very same", max_tokens=5).text
"""


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "3"), marks=pytest.mark.slow)])
def test_fifty_tests_that_ask_the_same_are_one_call(
    suite: pytest.Pytester, script: Script, workers: tuple[str, ...]
) -> None:
    """At the provider's own count, in one process and through the asker's; that they share one answer is told."""
    suite.makepyfile(FIFTY)
    told_run, told = run(suite, "--llmbench-cache=on", *workers)
    assert script.asked == {"the very same": 1}
    assert Counter(reply.is_cached for reply in told_run.replies) == {True: 49, False: 1}
    assert "49 times a test got the reply to another test of this run" in told


@pytest.mark.slow
def test_a_run_that_goes_on_takes_its_own_replies(suite: pytest.Pytester, script: Script) -> None:
    """--resume before the cache: what is stored stays as it was paid."""
    first, _ = run(suite, "--llmbench-cache=on")
    resumed, _ = run(suite, "--llmbench-cache=on", f"--llmbench-resume={first.id}")
    assert {reply.cost.source for reply in resumed.replies} == {"priced"}
    assert sum(script.asked.values()) == 13


def test_a_dry_run_tells_what_the_cache_would_answer(suite: pytest.Pytester, script: Script) -> None:
    """Those calls cost nothing; looking makes no file and counts no hit."""
    _, told = _dry(suite)
    assert "the cache" not in told
    assert not (suite.path / ".llmbench" / "cache").exists()
    run(suite, "--llmbench-cache=on")
    rows = suite.path.joinpath("questions.jsonl").read_text().replace("say 3", "say three")
    suite.path.joinpath("questions.jsonl").write_text(rows)
    calls, told = _dry(suite)
    assert calls == 1
    assert "9 answered by the cache" in told
    assert sum(script.asked.values()) == 13


def _dry(suite: pytest.Pytester) -> tuple[int, str]:
    result = suite.runpytest_subprocess("--llmbench-cache=on", "--llmbench-dry-run=true", "-k", "test_answer")
    told = result.stdout.str()
    lines = told.splitlines()
    return int(lines[lines.index("lab/m") + 1].split()[0]), told


@pytest.mark.slow
def test_recording_a_cassette_receives_everything(suite: pytest.Pytester, script: Script) -> None:
    """A cassette of cached replies would have holes; a run from a cassette looks nothing up."""
    run(suite, "--llmbench-cache=on")
    run(suite, "--llmbench-cache=on", "--llmbench-record=c.jsonl")
    assert sum(script.asked.values()) == 26
    replayed, _ = run(suite, "--llmbench-cache=on", "--llmbench-replay=c.jsonl")
    assert {reply.cost.source for reply in replayed.replies} == {"replayed"}


def test_a_run_that_keeps_no_texts_has_no_cache_and_says_so(suite: pytest.Pytester) -> None:
    """A cache holds texts."""
    _, told = run(suite, "--llmbench-cache=on", "--llmbench-keep-prompts=false")
    assert told.count("the response cache is not used: with keep_prompts false") == 1
    assert not (suite.path / ".llmbench" / "cache").exists()


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_cache_that_cannot_be_used_costs_a_sentence_and_no_test(
    suite: pytest.Pytester, script: Script, workers: tuple[str, ...]
) -> None:
    """One that others may write to: told once, with the way out; everything is asked."""
    run(suite, "--llmbench-cache=on")
    (suite.path / ".llmbench" / "cache" / "cache.db").chmod(0o666)
    _, told = run(suite, "--llmbench-cache=on", *workers)
    assert told.count("is not used: others may write to it (mode 0666)") == 1
    assert "llmbench cache clear" in told
    assert sum(script.asked.values()) == 26


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_cache_that_is_damaged_within_costs_a_sentence_with_the_way_out(
    suite: pytest.Pytester, script: Script, workers: tuple[str, ...]
) -> None:
    """It opens, and fails only where it is read."""
    run(suite, "--llmbench-cache=on")
    place = suite.path / ".llmbench" / "cache" / "cache.db"
    with closing(sqlite3.connect(place)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = place.read_bytes()
    place.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    _, told = run(suite, "--llmbench-cache=on", *workers)
    [line] = [line for line in told.splitlines() if "could not be looked up was asked" in line]
    assert line.endswith("(hint: `llmbench cache clear` makes room for a new one)")
    assert sum(script.asked.values()) == 26


@pytest.mark.slow
def test_a_row_that_was_tampered_with_is_asked_again(suite: pytest.Pytester, script: Script) -> None:
    """By the checksum of each."""
    run(suite, "--llmbench-cache=on")
    with closing(sqlite3.connect(suite.path / ".llmbench" / "cache" / "cache.db")) as plain, plain:
        changed = plain.execute("UPDATE entries SET value = replace(value, 'SAY 3', 'SAY 4')").rowcount
    assert changed == 13
    run(suite, "--llmbench-cache=on")
    assert sum(script.asked.values()) == 14


MEASURED = """
    import pytest

    pytestmark = pytest.mark.exclusive

    @pytest.mark.models("lab/m")
    def test_speed(bench, model):
        measured = bench(model, profile="interactive", rounds=2)
        assert measured.ttft_s.p50 > 0
"""


@pytest.mark.slow
def test_measurements_never_use_it(suite: pytest.Pytester, script: Script) -> None:
    """Every repetition is asked again and has its times; nothing of it is kept there."""
    suite.makepyfile(MEASURED)
    first, _ = run(suite, "--llmbench-cache=on", "--llmbench-demo-form=true")
    calls = sum(script.asked.values())
    again, _ = run(suite, "--llmbench-cache=on", "--llmbench-demo-form=true")
    assert sum(script.asked.values()) == 2 * calls > 0
    assert len(again.replies) == len(first.replies) > 0
    assert all(reply.timing.e2e_s and not reply.is_cached for reply in again.replies)
    with closing(sqlite3.connect(suite.path / ".llmbench" / "cache" / "cache.db")) as plain:
        assert plain.execute("SELECT count(*) FROM entries").fetchone() == (0,)
