"""Traces as a collector gets them: spans of calls, tests and runs from every process, without keys and contents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import pytest
from otlp_collector import Collector, Received
from usecase_suites import usecase

from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.demo.calls import Call
from pytest_llmbench.observe import spans
from pytest_llmbench.records import Run
from pytest_llmbench.store import Store

KEY = "sk-canary-7f3a9b2c8d1e4f60"
SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", max_tokens=20, seed=7, top_p=0.5, stream=True)
    def test_answer(reply, sample):
        assert reply.text == sample.expected
"""
CONFIG = """
providers:
  lab:
    url: "{url}"
    key_env: LAB_KEY
    models:
      m: {{price: {{input: 1, output: 10}}}}
"""


def echo(body: dict[str, Any]) -> Answer:
    return Answer(body["messages"][-1]["content"].upper(), ttft_s=0.01)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the usual variable points to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@pytest.fixture
def provider(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoProvider]:
    """Answers in capitals, as `lab/m`, at a price."""
    monkeypatch.setenv("LAB_KEY", KEY)
    with DemoProvider(echo) as running:
        set_up(pytester.path, running.url, 2)
        yield running


def set_up(folder: Path, url: str, count: int) -> None:
    folder.joinpath("llmbench.yaml").write_text(CONFIG.format(url=url))
    folder.joinpath("test_it.py").write_text(dedent(SUITE))
    told = ({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"} for n in range(count))
    folder.joinpath("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--llmbench-traces", "true", "-p", "no:cacheprovider", *arguments)


def one_of_each(body: dict[str, Any]) -> Answer | Failure:
    """Right; answered at the second try; refused, with the key in the reason; wrong."""
    match body["messages"][-1]["content"]:
        case "say 1" if not _tried:
            _tried.append(1)
            return Failure(503, "busy")
        case "say 2":
            return Failure(400, f"not with {KEY}")
        case "say 3":
            return Answer("something else")
    return echo(body)


_tried: list[int] = []


@dataclass(frozen=True, slots=True)
class Ran:
    """A run with one of each, what a collector got of it, and what the provider was sent."""

    collector: Collector
    stored: Run
    calls: list[Call]
    output: str

    def chats(self, sample: str) -> list[Received]:
        """The spans of a sample's calls, the earliest first."""
        return [span for span in self.collector.named("chat ") if span.attributes["llmbench.sample"] == sample]

    def test(self, sample: str) -> Received:
        """The span of its test."""
        return next(span for span in self.collector.named("test ") if span.attributes["llmbench.sample"] == sample)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """One run of pytest for many looks."""
    folder = tmp_path_factory.mktemp("traced")
    _tried.clear()
    with Collector() as collector, DemoProvider(one_of_each) as provider:
        set_up(folder, provider.url, 4)
        environment = {**os.environ, "LAB_KEY": KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        environment["XDG_CONFIG_HOME"] = str(folder)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--llmbench-traces", "true"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        with Store.open(folder / ".llmbench" / "results.db") as store:
            stored = store.load_run("last")
        yield Ran(collector, stored, provider.chats(), done.stdout + done.stderr)


def test_a_run_is_one_trace_of_its_tests_and_their_calls(ran: Ran) -> None:
    """Children name their parents by ids that follow from the run's, and all of them arrive."""
    [whole], tests = ran.collector.named("run"), ran.collector.named("test ")
    assert len(tests) == 4, ran.output
    assert {span.trace_id for span in ran.collector.spans} == {f"{spans.trace_id(ran.stored.id):032x}"}
    assert whole.parent_id == ""
    assert {test.parent_id for test in tests} == {whole.span_id}
    assert ran.chats("s0")[0].parent_id == ran.test("s0").span_id
    assert (whole.status, whole.attributes["llmbench.exit_code"]) == ("ERROR", 1)
    assert {span.resource["service.instance.id"] for span in ran.collector.spans} == {f"{ran.stored.id}/main"}
    assert "traces:" not in ran.output


def test_a_call_has_the_names_of_the_conventions(ran: Ran) -> None:
    """Request, response, tokens and cost; client side, with the host that was asked."""
    [call] = ran.chats("s0")
    reply = next(reply for reply in ran.stored.replies if reply.text == "SAY 0")
    usage, correlation = reply.usage, call.attributes.pop("llmbench.correlation_id")
    assert (call.name, call.kind, call.status) == ("chat m", "CLIENT", "UNSET")
    assert call.attributes.pop("server.port") > 0
    assert len(str(call.attributes.pop("llmbench.call_id"))) == 32
    assert correlation == f"{ran.stored.id}/{quote(call.attributes.pop('llmbench.test'), safe='')}/s0/0/1"
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "lab",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 20,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.seed": 7,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": reply.served_model,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": reply.timing.ttft_s,
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "server.address": "127.0.0.1",
        "llmbench.run": ran.stored.id,
        "llmbench.sample": "s0",
        "llmbench.trial": 0,
        "llmbench.attempt": 1,
        "llmbench.role": "subject",
        "llmbench.model": "lab/m",
        "llmbench.outcome": "answered",
        "llmbench.request_hash": reply.request_hash,
        "llmbench.cost_usd": reply.cost.usd,
        "llmbench.cost_source": "priced",
    }
    assert 0.01e9 <= call.end_ns - call.start_ns < 60e9


def test_attempts_at_one_question_stand_below_a_span_of_their_own(ran: Ran) -> None:
    """The failed one with its category and status; the question with how it ended after all."""
    [question], [failed, answered] = ran.collector.named("ask "), ran.chats("s1")
    assert question.parent_id == ran.test("s1").span_id
    assert {failed.parent_id, answered.parent_id} == {question.span_id}
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "overloaded")
    assert failed.attributes["http.response.status_code"] == 503
    assert failed.attributes["llmbench.retry_in_s"] > 0
    assert [each.attributes["llmbench.attempt"] for each in (failed, answered)] == [1, 2]
    assert (question.kind, question.status) == ("INTERNAL", "UNSET")
    assert question.attributes["llmbench.attempts"] == 2
    assert (question.start_ns, question.end_ns) == (failed.start_ns, answered.end_ns)
    assert "gen_ai.usage.output_tokens" not in {*question.attributes, *failed.attributes}


def test_what_fails_for_good_is_an_error_of_its_test(ran: Ran) -> None:
    """An infra error is no verdict: the test has a category and no result."""
    [call], test = ran.chats("s2"), ran.test("s2")
    assert (call.status, call.attributes["error.type"]) == ("ERROR", "invalid_request")
    assert (test.status, test.attributes["error.type"]) == ("ERROR", "invalid_request")
    assert test.attributes["llmbench.outcome"] == "infra_error"
    assert not {"test.case.result.status", "llmbench.retry_in_s"} & {*test.attributes, *call.attributes}
    assert (call.parent_id, test.events) == (test.span_id, [])


def test_the_assertion_of_a_plain_test_is_a_score(ran: Ran) -> None:
    """Being wrong is no error of the machinery."""
    test = ran.test("s3")
    told = {"name": "assert", "score.value": 0.0, "score.label": "fail"}
    wanted = {f"gen_ai.evaluation.{name}": value for name, value in told.items()}
    assert test.events == [("gen_ai.evaluation.result", wanted)]
    assert (test.status, test.attributes["test.case.result.status"]) == ("UNSET", "fail")


def test_neither_keys_nor_contents_leave(ran: Ran) -> None:
    """Looked for in the bytes that the collector got."""
    sent = b"".join(ran.collector.bodies)
    assert b"chat m" in sent
    assert [word for word in (KEY, "say 0", "SAY 0", "something else") if word.encode() in sent] == []


def test_the_next_hop_of_ours_is_told_which_call_it_serves(ran: Ran) -> None:
    """W3C's header names the span of exactly this attempt."""
    told = {call.headers["traceparent"] for call in ran.calls}
    assert told == {f"00-{span.trace_id}-{span.span_id}-01" for span in ran.collector.named("chat ")}
    assert len(told) == 5


@pytest.mark.slow
def test_under_xdist_spans_of_several_processes_hang_together(
    pytester: pytest.Pytester, provider: DemoProvider, collector: Collector
) -> None:
    """Calls come from the asker, tests and run from the controller."""
    result = run(pytester, "-n", "2")
    assert result.ret == 0, result.stdout.str()
    [whole], tests, calls = collector.named("run"), collector.named("test "), collector.named("chat ")
    assert {test.parent_id for test in tests} == {whole.span_id}
    assert {call.parent_id for call in calls} == {test.span_id for test in tests}
    assert {span.resource["service.instance.id"].rpartition("/")[2] for span in calls} == {"asker"}
    assert {call.headers["traceparent"].split("-")[2] for call in provider.chats()} == {span.span_id for span in calls}


@pytest.mark.slow
def test_scores_are_events_of_their_test(
    pytester: pytest.Pytester, provider: DemoProvider, collector: Collector
) -> None:
    """By the conventions' name; why is not told, for it quotes what the model said."""
    usecase(pytester.path, 2, front="validators: [exact, {contains: zebra}]")
    result = run(pytester, "shout")
    assert len(collector.named("test ")) == 2, result.stdout.str()
    for test in collector.named("test "):
        names = [told["gen_ai.evaluation.name"] for _, told in test.events]
        labels = [told["gen_ai.evaluation.score.label"] for _, told in test.events]
        assert (names, labels) == (["exact", "contains"], ["pass", "fail"])
        assert all("gen_ai.evaluation.explanation" not in told for _, told in test.events)
        assert test.attributes["llmbench.use_case"] == "shout"


@pytest.mark.slow
def test_contents_go_along_where_the_log_has_them_and_keys_never(
    pytester: pytest.Pytester, provider: DemoProvider, collector: Collector
) -> None:
    """As JSON, by the conventions' shape of messages."""
    provider.follow(lambda _: Answer(f"my key is {KEY}"))
    run(pytester, "--llmbench-request-log", "content")
    asked, said = (collector.named("chat ")[0].attributes[f"gen_ai.{which}.messages"] for which in ("input", "output"))
    assert json.loads(asked) == [{"role": "user", "parts": [{"type": "text", "content": "say 0"}]}]
    assert json.loads(said)[0]["parts"] == [{"type": "text", "content": "my key is [redacted]"}]
    assert KEY.encode() not in b"".join(collector.bodies)


@pytest.mark.slow
@pytest.mark.parametrize("trace", [False, True])
def test_a_provider_elsewhere_hears_of_no_trace_unless_its_user_says_so(
    pytester: pytest.Pytester, provider: DemoProvider, collector: Collector, trace: bool
) -> None:
    """An address that is not this machine's by its look: only `trace: true` sends the header there."""
    elsewhere = provider.url.replace("127.0.0.1", "0.0.0.0")
    config = CONFIG.format(url=elsewhere).replace("key_env:", f"trace: {str(trace).lower()}\n    key_env:")
    pytester.path.joinpath("llmbench.yaml").write_text(config)
    assert run(pytester).ret == 0
    assert {"traceparent" in call.headers for call in provider.chats()} == {trace}


@pytest.mark.slow
def test_without_traces_nothing_is_sent_anywhere(
    pytester: pytest.Pytester, provider: DemoProvider, collector: Collector
) -> None:
    """Also where they are switched off by OpenTelemetry's own variable."""
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider").ret == 0
    pytester.makeconftest("import os; os.environ['OTEL_SDK_DISABLED'] = 'true'")
    assert run(pytester).ret == 0
    assert collector.bodies == []
    assert all("traceparent" not in call.headers for call in provider.chats())


def test_what_is_not_installed_is_told_before_anything_is_asked(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    pytester.makeconftest("import sys; sys.modules['opentelemetry'] = None")
    result = run(pytester)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*pip install 'pytest-llmbench[[]otel[]]'*"])
    assert provider.chats() == []


@pytest.mark.slow
def test_a_dead_collector_costs_a_sentence_and_no_test(
    pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the exporter logs about it stands in no test's log, and the key of its header nowhere."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={KEY}-of-a-collector")
    late = "import time; time.sleep(0.5)\n    assert sample.id == 'told below'\n"
    pytester.path.joinpath("test_it.py").write_text(f"{dedent(SUITE)}\n    {late}")
    result = run(pytester)
    told = result.stdout.str() + result.stderr.str()
    assert told.count("traces:") == 1, told
    result.stdout.fnmatch_lines(["*llmbench: traces: 5 of 5 spans did not reach http://127.0.0.1:9: *"])
    assert "Captured log" not in told
    assert KEY not in told


@pytest.mark.slow
def test_spans_that_other_processes_lost_are_counted_by_the_one_that_ends_the_run(
    pytester: pytest.Pytester, provider: DemoProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under xdist calls are told by the asker, tests and run by the controller: one sentence on all five."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    result = run(pytester, "-n", "2")
    told = result.stdout.str() + result.stderr.str()
    assert told.count("traces:") == 1, told
    result.stdout.fnmatch_lines(["*llmbench: traces: 5 of 5 spans did not reach http://127.0.0.1:9: *"])
    assert list(pytester.path.glob(".llmbench/logs/*/traces-*")) == []
