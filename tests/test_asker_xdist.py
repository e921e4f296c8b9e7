"""One asker for all workers: what a run under xdist spends, and what is left of it when one of its processes dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from remote_askers import PATIENCE_S, is_gone, soon
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider, Failure

SUITE = """
    import contextlib, json, os, pathlib, signal, sqlite3, tempfile, time
    import pytest

    def stored():
        found = sqlite3.connect(".llmbench/results.db").execute("select request from replies").fetchall()
        return json.dumps([json.loads(request)["messages"][-1]["content"] for request, in found])

    def asker():
        folder, = pathlib.Path(tempfile.gettempdir()).glob(f"llmbench-*-{os.getppid()}-*")
        return json.loads((folder / "asker.json").read_text())

    def strike():
        with contextlib.suppress(OSError, ValueError):  # the other worker was first
            os.kill(asker()["pid"], signal.SIGKILL)

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=10)
    def test_answer(reply, sample):
        %s
        assert reply.text.startswith("word")
"""
TOKEN_USD = Decimal("0.01")


def rows(path: Path, count: int) -> None:
    path.joinpath("questions.jsonl").write_text(
        "".join(json.dumps({"id": f"s{number}", "input": f"{number}"}) + "\n" for number in range(count))
    )


def stored_questions(suite: pytest.Pytester) -> set[int]:
    """Those whose replies are in the database."""
    return {int(reply.request["messages"][-1]["content"]) for reply in stored_run(suite).replies}


class Till:
    """A provider's script that keeps account of what it has really generated."""

    def __init__(self, *, faults: bool = False, ttft_s: float = 0.0) -> None:
        self.tokens = 0
        self.calls: Counter[int] = Counter()
        self.slow_from: int | None = None
        """From this question on an answer takes five seconds."""
        self._faults = faults
        self._ttft_s = ttft_s
        self._turn = threading.Lock()

    def __call__(self, body: Mapping[str, Any]) -> Answer | Failure:
        number = int(body["messages"][-1]["content"])
        with self._turn:
            self.calls[number] += 1
            first = self.calls[number] == 1
        if self._faults and number % 7 == 3 and first:
            return Failure(500, "it broke", type="server_error")
        if self.slow_from is not None and number >= self.slow_from:
            return Answer("word", ttft_s=5)
        words = number % 14 + 1
        with self._turn:
            self.tokens += min(words, body["max_tokens"])
        cut = 1 if self._faults and number % 7 == 5 and first else None
        return Answer("word " * words, ttft_s=self._ttft_s or 0.01 * (number % 5), cut_after_events=cut)


def configured(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    pytester.path.joinpath("llmbench.yaml").write_text(
        f"providers:\n  lab: {{url: '{provider.url}'}}\nprices:\n  'lab/*': {{input: 0, output: 10000}}\n"
    )


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """A folder for a run of its own; `pytester.makepyfile(SUITE % ...)` is left to the test."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return pytester


@pytest.mark.parametrize("workers", [("-n", "4"), pytest.param((), marks=pytest.mark.slow)])
def test_concurrent_requests_never_settle_above_the_cap(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """120 answers of 1 to 10 cents, some of them failing, against a dollar: by the provider's own account."""
    till = Till(faults=True)
    suite.makepyfile(SUITE % "pass")
    rows(suite.path, 120)
    with DemoProvider(till) as provider:
        configured(suite, provider)
        result = suite.runpytest_subprocess("--llmbench-max-cost=1", *workers)
    assert result.ret == 12, result.stdout.str()
    assert Decimal("0.5") < till.tokens * TOKEN_USD <= 1
    run = stored_run(suite)
    outcomes = Counter(each.outcome for each in run.results)
    assert outcomes["right"] + outcomes["over_budget"] + outcomes["infra_error"] == 120
    assert sum((reply.cost.spent for reply in run.replies), Decimal(0)) <= 1


@pytest.mark.slow
def test_a_killed_worker_costs_its_test_and_no_reply(suite: pytest.Pytester) -> None:
    """What had been asked ahead is there for the worker that takes its place: nothing is asked twice."""
    till = Till()
    suite.makepyfile(SUITE % "if sample.id == 's5': os.kill(os.getpid(), signal.SIGKILL)")
    rows(suite.path, 30)
    with DemoProvider(till) as provider:
        configured(suite, provider)
        suite.runpytest_subprocess("-n", "2")
    run = stored_run(suite)
    wrong = {each.key.rpartition("[")[2]: each.outcome for each in run.results if each.outcome != "right"}
    assert wrong == {"lab/m-s5]": "infra_error"}
    assert till.calls == Counter(range(30))


@pytest.mark.parametrize("cache", [(), pytest.param(("--llmbench-cache=on",), marks=pytest.mark.slow)])
def test_a_killed_asker_is_replaced_within_the_run(suite: pytest.Pytester, cache: tuple[str, ...]) -> None:
    """All tests get their replies; what was stored is not asked again."""
    till = Till()
    suite.makepyfile(SUITE % "if sample.id == 's5': os.kill(asker()['pid'], signal.SIGKILL)")
    rows(suite.path, 30)
    with DemoProvider(till) as provider:
        configured(suite, provider)
        result = suite.runpytest_subprocess("-n", "2", "--llmbench-max-concurrency=2", *cache)
    assert result.ret == 0, result.stdout.str()
    assert {each.outcome for each in stored_run(suite).results} == {"right"}
    assert max(till.calls.values()) <= 2
    assert sum(till.calls.values()) <= 30 + 2 + 4  # two under way; some whose replies were just being committed


@pytest.mark.slow
def test_an_asker_that_dies_again_and_again_is_an_infra_error(suite: pytest.Pytester) -> None:
    """Of each test that wanted a reply afterwards; the run ends all the same."""
    suite.makepyfile(SUITE % "os.kill(asker()['pid'], signal.SIGKILL)")
    rows(suite.path, 8)
    with DemoProvider(Till(ttft_s=0.05)) as provider:
        configured(suite, provider)
        result = suite.runpytest_subprocess("-n", "2", "--llmbench-max-concurrency=1")
    assert result.ret == 11, result.stdout.str()
    categories = Counter(each.category for each in stored_run(suite).results if each.outcome == "infra_error")
    assert categories["local.asker"] >= 4


@pytest.mark.slow
def test_with_a_cache_a_killed_asker_loses_nothing_that_was_paid(suite: pytest.Pytester) -> None:
    """It is killed until it stays dead; going on asks what is not stored, and a run anew little of what was paid."""
    till = Till(ttft_s=0.05)
    till.slow_from = 15
    suite.makepyfile(SUITE % "strike() if int(sample.id[1:]) >= 5 and not os.path.exists('spared') else None")
    rows(suite.path, 30)
    flags = "-n", "2", "--llmbench-max-concurrency=2", "--llmbench-cache=on"
    with DemoProvider(till) as provider:
        configured(suite, provider)
        assert suite.runpytest_subprocess(*flags).ret == 11
        outcomes = Counter(each.outcome for each in stored_run(suite).results)
        assert set(outcomes) == {"right", "infra_error"}
        paid, asked = stored_questions(suite), till.calls.copy()
        assert outcomes["right"] <= len(paid) < 30
        assert asked.total() <= len(paid) + 2 * (2 + 4)  # of each life what was under way, or just being committed

        till.slow_from = None
        suite.path.joinpath("spared").touch()
        assert suite.runpytest_subprocess(*flags, "--llmbench-resume=last").ret == 0
        assert {each.outcome for each in stored_run(suite).results} == {"right"}
        assert (till.calls - asked).keys() == set(range(30)) - paid

        asked = till.calls.copy()
        assert suite.runpytest_subprocess(*flags).ret == 0
        again = (till.calls - asked).keys()
    assert again <= paid, "what was asked after the last kill is in the cache"
    assert len(again) <= 2 * 8, "of each life what its cache had not written yet"


@pytest.mark.slow
def test_a_killed_controller_leaves_nothing_and_resume_asks_the_rest(suite: pytest.Pytester) -> None:
    """Workers and asker go with it; what had come is stored, and is not asked a second time."""
    till = Till(ttft_s=0.1)
    suite.makepyfile(SUITE % "pathlib.Path('asker').write_text(asker()['asker'])")
    rows(suite.path, 40)
    with DemoProvider(till) as provider:
        configured(suite, provider)
        command = [sys.executable, "-m", "pytest", "-n", "2", "--llmbench-max-concurrency=2"]
        with subprocess.Popen(command, cwd=suite.path, stdout=subprocess.DEVNULL) as controller:
            assert soon(lambda: (suite.path / "asker").exists() and sum(till.calls.values()) > 8)
            controller.send_signal(signal.SIGKILL)
        assert is_gone((suite.path / "asker").read_text())
        before = till.calls.copy()
        stored = {reply.request["messages"][-1]["content"] for reply in stored_run(suite).replies}
        assert suite.runpytest_subprocess("-n", "2", "--llmbench-resume=last").ret == 0
    again = {str(number) for number in before if till.calls[number] > before[number]}
    assert stored
    assert not again & stored
    assert {each.outcome for each in stored_run(suite).results} == {"right"}


@pytest.mark.slow
def test_nothing_is_asked_while_a_test_measures(suite: pytest.Pytester) -> None:
    """By any worker: what is planned waits for the end of an exclusive test."""
    suite.makepyfile(
        SUITE % "pass"
        + """
    @pytest.mark.exclusive
    def test_alone():
        began = time.monotonic()
        time.sleep(0.5)
        pathlib.Path("alone").write_text(json.dumps([began, time.monotonic()]))
"""
    )
    rows(suite.path, 40)
    with DemoProvider(Till(ttft_s=0.1)) as provider:
        configured(suite, provider)
        assert suite.runpytest_subprocess("-n", "3", "--llmbench-max-concurrency=2").ret == 0
        began, ended = json.loads((suite.path / "alone").read_text())
        assert not [call for call in provider.log if began < call.received_at < ended]


@pytest.mark.slow
def test_a_run_without_a_terminal_tells_its_steps(suite: pytest.Pytester) -> None:
    """Under xdist the controller tells them, which asks nothing itself."""
    suite.makepyfile(SUITE % "pass")
    rows(suite.path, 20)
    with DemoProvider(Till(ttft_s=0.25)) as provider:
        configured(suite, provider)
        result = suite.runpytest_subprocess("-n", "2", "--llmbench-max-concurrency=1", timeout=PATIENCE_S)
    assert result.ret == 0
    result.stdout.re_match_lines([r"llmbench: asked \d+/20 · \$\d\.\d{4} · \d:\d\d left · 1 in flight · \d+ tokens/s"])
