"""The scripted provider: for users without keys, and for our own tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from asking import PATIENT, model_of

from pytest_llmbench import http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.demo import Answer, DemoProvider, Event, Failure, Page, Raw
from pytest_llmbench.errors import WireError


def get(url: str):
    fetched = http.run(http.fetch(http.Request("GET", url), PATIENT))
    return fetched.status, json.loads(fetched.body)


def test_without_a_script_it_echoes():
    """Deterministic, so that a first test can be written against it without a key."""
    with DemoProvider() as provider:
        model = model_of(provider)
        assert model.ask("What is 2 + 2?").text == "You said: What is 2 + 2?"
        assert model.ask("What is 2 + 2?").text == "You said: What is 2 + 2?"


def test_a_script_gives_one_reaction_a_request_and_the_last_for_ever():
    """Answers and failures in a row."""
    with DemoProvider([Answer("Paris."), Failure(429), Answer("Rome.")]) as provider:
        model = model_of(provider)
        assert model.ask("?").text == "Paris."
        with pytest.raises(WireError, match="429"):
            model.ask("?")
        assert [model.ask("?").text, model.ask("?").text] == ["Rome.", "Rome."]


def test_a_script_may_be_a_function_of_the_request():
    """For answers that depend on the question."""
    with DemoProvider(lambda body: Answer(str(len(body["messages"])))) as provider:
        assert model_of(provider).ask("?", system="be brief").text == "2"


def test_max_tokens_is_obeyed():
    """A token is a word here; the finish reason says that it was cut."""
    with DemoProvider(Answer("one two three four")) as provider:
        reply = model_of(provider).ask("?", max_tokens=2)
    assert (reply.text, reply.finish_reason, reply.usage.completion_tokens) == ("one two ", "length", 2)


def test_the_log_says_what_came_and_what_went_out_when():
    """One clock for both sides, times in order, each event with its kind."""
    with DemoProvider(Answer("one two", reasoning=["hm"], progress_events=1, itl_s=0.05)) as provider:
        model_of(provider).ask("hello")
        (call,) = provider.chats()
    assert call.body["messages"][-1]["content"] == "hello"
    kinds = [sent.kind for sent in call.sent]
    assert kinds == ["progress", "role", "reasoning", "content", "content", "finish", "usage", "done"]
    times = [call.received_at, *(sent.at for sent in call.sent)]
    assert times == sorted(times)
    assert call.last_token_s - call.ttft_s >= 0.1


def test_the_timing_of_the_script_is_kept():
    """The first token no earlier than told, the others no closer together than told."""
    with DemoProvider(Answer("one two three", ttft_s=0.2, itl_s=0.1)) as provider:
        model_of(provider).ask("?")
        (call,) = provider.chats()
    assert call.ttft_s >= 0.199
    assert call.last_token_s - call.ttft_s >= 0.199


def test_it_lists_models_and_tells_its_health():
    """As other servers do."""
    with DemoProvider(models=["small", "large"]) as provider:
        assert get(provider.url + "/health") == (200, {"status": "ok"})
        assert [model["id"] for model in get(provider.url + "/v1/models")[1]["data"]] == ["small", "large"]
        assert get(provider.url + "/nowhere")[0] == 404


def test_a_body_that_is_no_json_is_a_bad_request():
    """Not a crash."""
    with DemoProvider() as provider:
        request = http.Request("POST", provider.url + "/v1/chat/completions", {}, b"{oops")
        assert http.run(http.fetch(request, PATIENT)).status == 400


def test_a_bug_in_a_script_comes_out_at_the_end_of_the_block():
    """The client saw only a closed connection; the author of the script gets the exception."""

    def buggy(body):
        raise LookupError("a bug in the script")

    def ask_it():
        with DemoProvider(buggy) as provider, pytest.raises(WireError):
            model_of(provider).ask("?")

    with pytest.raises(LookupError, match="a bug in the script"):
        ask_it()


def test_a_port_that_is_taken_is_an_error_at_once():
    """At entry, with the system's own words."""
    with DemoProvider() as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match=str(port)), DemoProvider(port=port):
            pass


def test_steps_can_be_edited_by_hand():
    """What an `Answer` cannot say is said in steps."""
    steps = Answer("one two").steps({"stream": True})
    second = next(i for i, step in enumerate(steps) if isinstance(step, Event) and "two" in str(step.payload))
    with DemoProvider(Page([*steps[:second], Raw(b": hold on\n\n"), *steps[second:]])) as provider:
        assert model_of(provider).ask("?").text == "one two"


def test_it_runs_by_itself():
    """`python -m pytest_llmbench.demo` prints its address and serves; its log is there for other processes."""
    command = [sys.executable, "-m", "pytest_llmbench.demo", "--tokens", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        model = Model("demo", endpoint=lambda: Endpoint(base_url=url, model_id="demo", name="demo"), deadlines=PATIENT)
        assert model.ask("?").text == "token token token "
        (call,) = get(url + "/demo/log")[1]
        process.terminate()
    assert [sent["kind"] for sent in call["sent"]].count("content") == 3


def test_it_ends_by_itself_after_the_time_it_was_given():
    """So that whoever started it may be killed."""
    command = [sys.executable, "-m", "pytest_llmbench.demo", "--for-s", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout[:17]) == (0, "http://127.0.0.1:")


def test_it_serves_one_at_a_time_where_told_so():
    """First come, first served, the same time for each: three at once end one, two and three service times later."""
    with DemoProvider(Answer("one two"), service_s=0.2) as provider:
        model_of(provider).ask_all(["a", "b", "c"], concurrency=3)
        calls = provider.chats()
    ends = sorted(call.sent[0].at for call in calls)
    for number, end in enumerate(ends, 1):
        assert end - calls[0].received_at >= number * 0.2 - 0.001
