"""`--batch` and what follows: submitted, pending, collected, never asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import Outcome

SUITE = """
    import pytest

    @pytest.mark.models("demo/facts")
    @pytest.mark.dataset("rows.jsonl", max_tokens=20)
    def test_sum(reply, sample):
        assert reply.text == sample.expected

    @pytest.mark.models("demo/facts")
    def test_all(model):
        assert [reply.text for reply in model.ask_all(["1 + 1", "2 + 2"], max_tokens=9)] == ["2", "4"]
"""


def configure(pytester: pytest.Pytester, url: str, rows: int = 4) -> None:
    pytester.makepyfile(SUITE)
    lines = [{"id": str(n), "input": f"What is {n} + 1?", "expected": str(n + 1)} for n in range(rows)]
    pytester.path.joinpath("rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  demo: {{url: '{url}/v1'}}\n")


def run(pytester: pytest.Pytester, *flags: str) -> tuple[int, str]:
    """Exit code and output of a session in a process of its own."""
    command = [sys.executable, "-m", "pytest_llmbench", "run", ".", "-p", "no:cacheprovider", *flags]
    done = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_batch_is_submitted_once_and_collected_by_a_later_session(pytester: pytest.Pytester, workers: str) -> None:
    """Pending with its own exit code; then judged like any reply; no chat is ever asked."""
    with DemoProvider() as provider:
        configure(pytester, provider.url)
        code, said = run(pytester, "--batch", "-n", workers)
        assert (code, "5 pending" in said) == (ExitCode.PENDING, True), said
        assert {result.outcome for result in stored_run(pytester).results} == {Outcome.PENDING}
        code, said = run(pytester, "--resume", "last", "-n", workers)
        assert (code, "batches: 6 replies collected, 0 still pending, 0 failed" in said) == (0, True), said
        assert provider.chats() == []
        submitted = [call for call in provider.log if (call.method, call.route) == ("POST", "/v1/batches")]
    stored = stored_run(pytester)
    assert (len(stored.results), len(stored.replies)) == (5, 6)
    assert {result.outcome for result in stored.results} == {Outcome.RIGHT}
    assert len(submitted) == 2  # what was known before the tests ran, and `ask_all`
    assert {reply.cost.source for reply in stored.replies} == {"billed"}


@pytest.mark.parametrize("flags", [(), ("--batch",), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_while_a_batch_is_not_done_nothing_is_asked_twice(pytester: pytest.Pytester, flags: tuple[str, ...]) -> None:
    """Looked at again, with and without --batch: still pending."""
    with DemoProvider(batch_s=3600) as provider:
        configure(pytester, provider.url)
        run(pytester, "--batch")
        code, said = run(pytester, "--resume", "last", *flags)
        assert (code, "5 pending" in said) == (ExitCode.PENDING, True), said
        assert "0 replies collected, 6 still pending" in said
        assert provider.chats() == []
        submitted = [call for call in provider.log if (call.method, call.route) == ("POST", "/v1/batches")]
    assert len(submitted) == 2


def test_what_a_batch_left_undone_is_asked_by_the_session_that_goes_on(pytester: pytest.Pytester) -> None:
    """Refused in the batch, and answered when asked directly: its cost and its failure are both told."""
    with DemoProvider(traits={"fault": "server-error", "times": 1}) as provider:
        configure(pytester, provider.url, rows=2)
        run(pytester, "--batch")
        code, said = run(pytester, "--resume", "last")
        assert (code, "4 failed" in said) == (0, True), said
        assert len(provider.chats()) == 4
    assert len(stored_run(pytester).failed_attempts) == 4


@pytest.mark.parametrize("flag", ["--collect-only", pytest.param("--setup-plan", marks=pytest.mark.slow)])
def test_looking_at_the_tests_submits_and_collects_nothing(pytester: pytest.Pytester, flag: str) -> None:
    """Neither goes near the provider."""
    with DemoProvider() as provider:
        configure(pytester, provider.url)
        run(pytester, "--batch", flag)
        assert provider.log == []
        run(pytester, "--batch")
        before = len(provider.log)
        run(pytester, "--resume", "last", flag)
        assert len(provider.log) == before


def test_a_batch_of_the_demo_provider_of_the_run_itself_is_refused(pytester: pytest.Pytester) -> None:
    """It would end with the run; what to do instead is said."""
    configure(pytester, "http://127.0.0.1:9")
    pytester.path.joinpath("llmbench.yaml").unlink()
    code, said = run(pytester, "--batch")
    assert code != 0
    assert "llmbench demo-server" in said


def test_a_batch_without_stored_texts_is_refused(pytester: pytest.Pytester) -> None:
    """The store is the way by which its replies come."""
    with DemoProvider() as provider:
        configure(pytester, provider.url)
        code, said = run(pytester, "--batch", "--keep-prompts=no")
        assert (code != 0, "may hold no texts" in said) == (True, True), said
        assert provider.log == []


@pytest.mark.parametrize(
    "workers", [pytest.param("0", marks=pytest.mark.slow), pytest.param("2", marks=pytest.mark.slow)]
)
def test_with_a_cache_a_batch_is_for_what_nobody_has_asked_yet(pytester: pytest.Pytester, workers: str) -> None:
    """The next run submits what is new alone, foresees that, and is done at once where nothing is."""
    flags = ("--batch", "--cache", "on", "-n", workers)
    with DemoProvider() as provider:
        configure(pytester, provider.url)
        run(pytester, *flags)
        code, said = run(pytester, "--resume", "last", *flags)
        assert (code, "from the cache" in said) == (0, False), said
        known = len(provider.log)
        code, said = run(pytester, *flags)
        assert (code, "6 of 6 replies from the cache" in said) == (0, True), said
        assert len(provider.log) == known
        configure(pytester, provider.url, rows=5)
        code, said = run(pytester, "--dry-run", *flags[:3])
        assert "4 answered by the cache" in said, said
        code, said = run(pytester, *flags)
        assert (code, "1 pending" in said) == (ExitCode.PENDING, True), said
        submitted = [call for call in provider.log if (call.method, call.route) == ("POST", "/v1/batches")]
    assert len(submitted) == 3
    assert {reply.cost.source for reply in stored_run(pytester).replies} == {"cached"}


@pytest.mark.slow
def test_what_lies_with_a_provider_is_no_part_of_what_is_foreseen(pytester: pytest.Pytester) -> None:
    """It is asked already; what was added since is not."""
    with DemoProvider(batch_s=3600) as provider:
        configure(pytester, provider.url)
        run(pytester, "--batch", "-k", "test_sum")
        configure(pytester, provider.url, rows=5)
        before = len(provider.log)
        code, said = run(pytester, "--resume", "last", "--dry-run", "-k", "test_sum")
        assert (code, len(provider.log)) == (0, before)
    lines = said.splitlines()
    assert lines[lines.index("demo/facts") + 1].split()[0] == "1", said
    assert "4 with a batch API already" in said
