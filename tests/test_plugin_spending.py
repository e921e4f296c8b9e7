"""What was not answered for a reason of its own: over budget, pending, interrupted; each has its outcome and code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from suite_runs import stored_run

from pytest_llmbench import clock
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import StoreError, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.store import Store
from pytest_llmbench.store.spending import Spending

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=20)
    def test_answer(reply, sample):
        assert reply.text == sample.expected
"""
CONFIG = """
providers:
  lab:
    url: "{url}"
    models:
      m: {{price: {{input: 1, output: 10}}}}
"""
FIRST_REPLY_S = 60.0
"""How long a busy machine may take until the first reply is stored."""


def echo(body: dict[str, Any]) -> Answer:
    return Answer(body["messages"][-1]["content"].upper(), ttft_s=0.02)


@pytest.fixture
def provider(pytester: pytest.Pytester) -> Iterator[DemoProvider]:
    """Answers in capitals, as `lab/m`, at a price."""
    with DemoProvider(echo) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(CONFIG.format(url=running.url))
        pytester.makepyfile(test_it=SUITE)
        yield running


def rows(path: Path, count: int) -> None:
    path.joinpath("questions.jsonl").write_text(
        "".join(json.dumps({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"}) + "\n" for n in range(count))
    )


def asked(provider: DemoProvider) -> list[str]:
    return [call.body["messages"][-1]["content"] for call in provider.chats()]


def counted(run: Run) -> Counter[str]:
    return Counter(result.outcome for result in run.results)


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_spent_budget_ends_the_rest_as_over_budget(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    """Some are answered, the others are neither wrong nor infra errors; the exit code is 12."""
    rows(pytester.path, 60)
    result = pytester.runpytest_subprocess("--llmbench-max-cost", "0.0008", *arguments)
    assert result.ret == 12, result.stdout.str()
    run = stored_run(pytester)
    outcomes = counted(run)
    assert outcomes["right"] + outcomes["over_budget"] == 60
    assert min(outcomes["right"], outcomes["over_budget"]) >= 1
    assert len(asked(provider)) == len(run.replies) == outcomes["right"]
    assert sum(reply.cost.spent for reply in run.replies) <= 0.0008
    result.stdout.fnmatch_lines([f"*{outcomes['over_budget']} over budget*", "next *--resume last*--max-cost*"])


def test_what_is_right_after_all_is_asked_when_the_run_is_resumed_with_more(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """Nothing that was answered before is asked or paid again."""
    rows(pytester.path, 30)
    assert pytester.runpytest_subprocess("--llmbench-max-cost", "0.0004").ret == 12
    before = asked(provider)
    [page] = pytester.path.glob(".llmbench/reports/*/report.html")
    assert ("No model was asked" in page.read_text()) is (not before)
    assert pytester.runpytest_subprocess("--llmbench-max-cost", "1", "--llmbench-resume", "last").ret == 0
    assert "1 model was asked" in page.read_text()
    assert sorted(asked(provider)) == sorted(f"say {n}" for n in range(30))
    assert len(before) < 30


def test_why_a_run_came_over_its_budget_is_told(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """The dearest request that was refused; no cap is promised to be enough, since others went on spending."""
    rows(pytester.path, 60)
    over = pytester.runpytest_subprocess("--llmbench-max-cost", "0.0008")
    over.stdout.fnmatch_lines(["*over budget: lab/m was not asked: the request may cost up to 0.000*"])
    over.stdout.fnmatch_lines(["next *--resume last*--max-cost*"])
    [page] = pytester.path.glob(".llmbench/reports/*/report.html")
    assert "could not ask. lab/m was not asked: the request may cost up to 0.000" in page.read_text()
    assert "is enough" not in " ".join(over.stdout.str().split()) + page.read_text()


def test_refusals_that_say_the_same_are_told_once(pytester: pytest.Pytester) -> None:
    """Twelve tests that nobody answered: one message, and how many they are."""
    rows(pytester.path, 12)
    pytester.makepyfile(test_it=SUITE)
    with DemoProvider(lambda _body: Failure(401, "no such key")) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(CONFIG.format(url=running.url))
        result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*= infra errors =*", "*[[]lab/m-s0] and 11 more: auth", "  *no such key*"])
    assert result.stdout.str().count("no such key") == 1
    result.stdout.fnmatch_lines(["retries none; * failed (* × auth)"])


def test_what_a_killed_session_left_under_way_is_told_by_the_one_that_goes_on(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """Its reservation stays in the account, and nobody knows what it cost."""
    rows(pytester.path, 30)
    assert pytester.runpytest_subprocess("--llmbench-max-cost", "0.0008").ret == 12
    left = Spending("killed", 1, "lab/m", "", "subject", "0.0001", "reserved", "2026-01-01T00:00:00+00:00")
    with Store.open(pytester.path / ".llmbench/results.db") as store:
        store.order_spending(store.run_id("last"), left).result()
    resumed = pytester.runpytest_subprocess("--llmbench-max-cost", "1", "--llmbench-resume", "last")
    assert resumed.ret == 0
    resumed.stdout.fnmatch_lines(["cost * + 1 unknown*", "*1 × cancelled*"])


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (("lab/m", ""), "*a request to lab/m has no max_tokens*"),
        (("dear/m", ", max_tokens=20"), "*no price of dear/m is known*"),
    ],
)
def test_what_nobody_can_price_is_told_once_before_anything_is_asked(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...], marks: tuple[str, str], said: str
) -> None:
    """Also of what could be asked; without a line of our own code."""
    rows(pytester.path, 3)
    with pytester.path.joinpath("llmbench.yaml").open("a") as config:
        config.write("  dear:\n    url: https://dear.example\nbudget: {run: 1}\n")
    mark = f'@pytest.mark.models("{marks[0]}")\n@pytest.mark.dataset("questions.jsonl"{marks[1]})\n'
    pytester.path.joinpath("test_later.py").write_text(f"import pytest\n\n{mark}def test_later(reply, sample): pass\n")
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == 4, result.stdout.str()
    told = result.stdout.str() + result.stderr.str()
    pytest.LineMatcher(told.splitlines()).fnmatch_lines([said])
    assert "Traceback" not in told
    assert "plugin.py" not in told
    assert "node down" not in told
    assert asked(provider) == []


@pytest.mark.parametrize(
    ("page", "code"), [("def test_later(reply, sample): pass", 4), ("import nothing_of_that_name", 2)]
)
def test_a_worker_that_may_not_begin_waits_until_tests_are_given_out(
    pytester: pytest.Pytester, provider: DemoProvider, page: str, code: int
) -> None:
    """xdist breaks down where one has left by then: here it takes its time."""
    rows(pytester.path, 3)
    with pytester.path.joinpath("llmbench.yaml").open("a") as config:
        config.write("budget: {run: 1}\n")
    mark = '@pytest.mark.models("lab/m")\n@pytest.mark.dataset("questions.jsonl")\n' if "def " in page else ""
    pytester.path.joinpath("test_later.py").write_text(f"import pytest\n\n{mark}{page}\n")
    pytester.makeconftest(
        """
        import os, time, pytest

        @pytest.hookimpl(trylast=True)
        def pytest_collection_finish():  # the second worker has collected when the first one looks what it may do
            if os.environ.get("PYTEST_XDIST_WORKER") == "gw0":
                time.sleep(1)

        def pytest_xdist_node_collection_finished():
            time.sleep(1.5)
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    assert result.ret == code, result.stdout.str()
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert asked(provider) == []


def test_a_batch_is_pending_until_it_is_collected(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """--batch submits and ends with 14; --resume takes the replies and asks nothing."""
    rows(pytester.path, 5)
    result = pytester.runpytest_subprocess("--llmbench-batch", "true")
    assert result.ret == 14, result.stdout.str()
    assert counted(stored_run(pytester)) == {"pending": 5}
    result.stdout.fnmatch_lines(["*5 pending*", "next *--resume last*"])
    result = pytester.runpytest_subprocess("--llmbench-resume", "last")
    assert result.ret == 0, result.stdout.str()
    assert counted(stored_run(pytester)) == {"right": 5}
    assert asked(provider) == []


BATCH_OF_EACH = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.parametrize("number", range(8))
    def test_answer(model, number):
        model.ask(f"say {number}", max_tokens=20)
"""


def test_batches_of_several_workers_stay_within_one_budget(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """What each submits on its own is counted for all: half of 8 worst cases, where money for three is left."""
    pytester.makepyfile(test_it=BATCH_OF_EACH)
    pytester.runpytest_subprocess("-n", "4", "--llmbench-batch", "true", "--llmbench-max-cost", "0.0008")
    with Store.open(pytester.path / ".llmbench" / "results.db") as store:
        reserved = [Decimal(row.reserved_usd) for row in store.spent(stored_run(pytester).id).rows]
    assert reserved
    assert sum(reserved) <= Decimal("0.0008")


def interrupted(pytester: pytest.Pytester, count: int, *arguments: str) -> float:
    """Run, send Ctrl-C once `count` replies are stored; seconds from there to the end, but for those for which the
    process could have run and other processes had the processors."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments],
        cwd=pytester.path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = clock.monotonic() + FIRST_REPLY_S
        while clock.monotonic() < deadline and _replies(pytester) < count:
            clock.sleep(0.02)
        run.send_signal(signal.SIGINT)
        begun, held_up_s = clock.monotonic(), _held_up_s(run.pid)
        last_s = held_up_s
        while run.poll() is None and clock.monotonic() < begun + FIRST_REPLY_S:
            last_s = max(last_s, _held_up_s(run.pid))
            clock.sleep(0.01)
        assert run.poll() == 2
        return clock.monotonic() - begun - (last_s - held_up_s)
    finally:
        run.kill()
        run.wait()


def _held_up_s(pid: int) -> float:
    """How long the main thread of a process was ready to run and did not, so far; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _replies(pytester: pytest.Pytester) -> int:
    if not (pytester.path / ".llmbench" / "results.db").exists():
        return 0
    try:
        return len(stored_run(pytester).replies)
    except (StoreError, UsageError):  # being created, or without a run yet
        return 0


def goes_on_after_ctrl_c(pytester: pytest.Pytester, provider: DemoProvider, count: int, *arguments: str) -> float:
    rows(pytester.path, count)
    took_s = interrupted(pytester, count // 10, *arguments)
    stored = {reply.text for reply in stored_run(pytester).replies}
    assert count // 10 <= len(stored) < count
    report = json.loads(next(pytester.path.glob(".llmbench/reports/*/report.json")).read_text())
    broken_off = stored_run(pytester).failed_attempts
    assert len(report["run"]["failed_attempts"]) == len(broken_off), "what was broken off may be billed"
    before = len(asked(provider))
    result = pytester.runpytest_subprocess("--llmbench-resume", "last", *arguments)
    assert result.ret == 0, result.stdout.str()
    again = asked(provider)[before:]
    assert sorted(text.upper() for text in again) == sorted({f"SAY {n}" for n in range(count)} - stored)
    assert counted(stored_run(pytester)) == {"right": count}
    return took_s


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_ctrl_c_stores_what_was_answered_and_resume_asks_only_the_rest(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    provider.follow(lambda body: Answer(body["messages"][-1]["content"].upper(), ttft_s=0.3))
    goes_on_after_ctrl_c(pytester, provider, 60, "--llmbench-max-concurrency", "4", *arguments)


@pytest.mark.slow
def test_ctrl_c_in_a_run_of_a_thousand_ends_within_two_seconds(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """And no completed reply is asked a second time."""
    provider.follow(lambda body: Answer(body["messages"][-1]["content"].upper(), ttft_s=0.2))
    took_s = goes_on_after_ctrl_c(pytester, provider, 1000, "--llmbench-max-concurrency", "20")
    assert took_s < 2.0


def test_speed_is_not_measured_beside_a_budget_that_would_not_count_it(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.models("lab/m")
        def test_speed(model, bench):
            bench(model)
        """
    )
    result = pytester.runpytest_subprocess("--llmbench-max-cost", "1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*`bench` cannot keep to a budget*"])
    assert asked(provider) == []
