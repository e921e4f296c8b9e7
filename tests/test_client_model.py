"""The model as tests hold it: questions in, replies out, kept and recalled."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from asking import KEY, endpoint_of, model_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.records import Reply

QUESTION = ({"role": "user", "content": "why?"},)


def test_ask_sends_a_prompt_and_gives_the_reply():
    """One plain call."""
    with DemoProvider() as provider:
        reply = model_of(provider).ask("hello there")
    assert reply.text == "You said: hello there"
    assert reply.model == "demo/name"
    assert reply.request_hash


def test_ask_takes_a_conversation_and_a_system_message():
    """The system message goes first; the caller's list stays as it was."""
    conversation = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    with DemoProvider() as provider:
        model_of(provider).ask(conversation, system="be brief")
        sent = provider.log[0].body["messages"]
    assert sent == [{"role": "system", "content": "be brief"}, *conversation]
    assert len(conversation) == 3


def test_ask_passes_parameters_and_extra_fields_on():
    """What the server names its own way goes as an extra keyword."""
    with DemoProvider() as provider:
        reply = model_of(provider).ask("one two three", max_tokens=2, seed=1, stream=False, ignore_eos=True)
        body = provider.log[0].body
    assert (body["max_tokens"], body["seed"], body["stream"], body["ignore_eos"]) == (2, 1, False, True)
    assert (reply.text, reply.finish_reason) == ("You said: ", "length")


@pytest.mark.parametrize("field", ["messages", "stream_options"])
def test_a_field_that_we_set_cannot_be_given_as_an_extra(field):
    """It would bend what is measured."""
    with DemoProvider() as provider, pytest.raises(UsageError, match=field):
        model_of(provider).ask("hello", **{field: 1})


def test_a_prompt_that_is_no_json_is_refused_before_anything_is_sent():
    """With the model's name in the message."""
    with DemoProvider() as provider:
        with pytest.raises(UsageError, match="demo/name cannot be written as JSON"):
            model_of(provider).ask([{"role": "user", "content": object()}])
        assert provider.log == []


def test_ask_all_answers_in_the_order_of_the_prompts():
    """Whoever was done first."""

    def slower_first(body):
        text = body["messages"][-1]["content"]
        return Answer(text, ttft_s=0.4 if text == "0" else 0.0)

    with DemoProvider(slower_first) as provider:
        replies = model_of(provider).ask_all([str(i) for i in range(6)], concurrency=3)
    assert [reply.text for reply in replies] == ["0", "1", "2", "3", "4", "5"]


def test_ask_all_keeps_each_reply_as_it_completes():
    """Not at the end: what is complete is safe, whatever happens to the others."""
    kept = []

    def slower_first(body):
        text = body["messages"][-1]["content"]
        return Answer(text, ttft_s=1.0 if text == "slow" else 0.0)

    def keep(request, reply):
        kept.append(reply.text)
        return dataclasses.replace(reply, id=f"row-{reply.text}")

    with DemoProvider(slower_first) as provider:
        replies = model_of(provider, keep=keep).ask_all(["slow", "quick", "next"], concurrency=2)
    assert kept == ["quick", "next", "slow"]
    assert [reply.id for reply in replies] == ["row-slow", "row-quick", "row-next"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_ask_all_has_no_more_under_way_than_asked_for(concurrency):
    """And as many."""
    with DemoProvider(Answer("x", ttft_s=0.2)) as provider:
        model_of(provider).ask_all(["q"] * 6, concurrency=concurrency)
        spans = [(call.received_at, call.sent[-1].at) for call in provider.log]
    under_way = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(under_way) == concurrency


def test_the_first_failure_of_ask_all_is_raised_and_the_rest_cancelled():
    """What was complete by then has been kept."""
    kept = []

    def script(body):
        text = body["messages"][-1]["content"]
        return Failure(401) if text == "bad" else Answer(text, ttft_s=60 if text == "slow" else 0)

    def keep(request, reply):
        kept.append(reply.text)
        return reply

    with DemoProvider(script) as provider:
        with pytest.raises(WireError) as caught:
            model_of(provider, keep=keep).ask_all(["good", "bad", "slow", "never"], concurrency=1)
        asked = [call.body["messages"][-1]["content"] for call in provider.log]
    assert caught.value.category is Category.AUTH
    assert kept == ["good"]
    assert asked == ["good", "bad"]


def test_a_recalled_reply_is_not_asked_again():
    """As on --resume; only what is missing goes out, and only that is kept."""
    stored = Reply("from the store", "demo/name", id="row-1")
    kept = []

    def keep(request, reply):
        kept.append(request.messages[-1]["content"])
        return reply

    with DemoProvider() as provider:
        model = model_of(provider, recall=lambda request: stored if "old" in str(request.messages) else None, keep=keep)
        replies = model.ask_all(["old", "new"])
        assert model.ask("old") is stored
        assert len(provider.log) == 1
    assert [reply.text for reply in replies] == ["from the store", "You said: new"]
    assert kept == ["new"]


def test_when_all_is_recalled_no_server_is_needed():
    """The endpoint is not even looked up: nothing is started for a finished test."""

    def no_endpoint() -> Endpoint:
        raise AssertionError("nobody should ask where the server is")

    with DemoProvider() as provider:
        model = model_of(provider, recall=lambda _: Reply("stored", "demo/name"))
        model._endpoint = no_endpoint
        assert model.ask("anything").text == "stored"


def test_the_endpoint_is_looked_up_for_every_question():
    """A server that was restarted has a new port."""
    with DemoProvider(Answer("first")) as first, DemoProvider(Answer("second")) as second:
        providers = iter([first, second])
        model = model_of(first)
        model._endpoint = lambda: endpoint_of(next(providers))
        assert [model.ask("?").text, model.ask("?").text] == ["first", "second"]


def test_what_keep_raises_is_raised():
    """A reply that cannot be stored is no success."""

    def full_disk(request, reply):
        raise OSError("no space left")

    with DemoProvider() as provider, pytest.raises(OSError, match="no space left"):
        model_of(provider, keep=full_disk).ask("hello")


def test_concurrency_below_one_is_refused():
    """It would wait for ever."""
    with DemoProvider() as provider, pytest.raises(UsageError, match="concurrency"):
        model_of(provider).ask_all(["a"], concurrency=0)


def test_ctrl_c_stops_the_asking_and_keeps_what_was_complete(tmp_path: Path):
    """The request under way is cancelled; the interpreter ends at once and by itself."""
    script = tmp_path / "interrupted.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from asking import model_of
from pytest_llmbench.demo import Answer, DemoProvider

def script(body):
    text = body["messages"][-1]["content"]
    if text == "slow":
        sys.stdout.write("asked\\n")
        sys.stdout.flush()
    return Answer(text, ttft_s=60 if text == "slow" else 0)

def keep(request, reply):
    sys.stdout.write(f"kept {{reply.text}}\\n")
    sys.stdout.flush()
    return reply

with DemoProvider(script) as provider:
    try:
        model_of(provider, keep=keep).ask_all(["quick", "slow"], concurrency=1)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
""")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # The next request goes out while the thread that keeps replies is still at the one before.
        assert sorted([process.stdout.readline(), process.stdout.readline()]) == ["asked\n", "kept quick\n"]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (rest, errors, process.returncode) == ("interrupted\n", "", 0)


def test_the_key_is_in_no_repr():
    """Of neither endpoint nor model."""
    with DemoProvider() as provider:
        assert KEY not in repr(endpoint_of(provider)) + repr(model_of(provider))


@pytest.mark.parametrize("base", ["http://host:1", "http://host:1/", "http://host:1/v1", "http://host:1/v1/"])
def test_a_base_url_may_end_in_v1(base):
    """As half the world writes it."""
    assert Endpoint(base_url=base, model_id="m", name="m").url("/v1/models") == "http://host:1/v1/models"


def test_equal_requests_have_equal_hashes_whatever_the_order_of_fields():
    """The hash is what `--resume` goes by."""
    one = ChatRequest("m", QUESTION, extra={"a": 1, "b": [2]})
    other = ChatRequest("m", ({"content": "why?", "role": "user"},), extra={"b": [2], "a": 1})
    assert one.hash() == other.hash()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"messages": ({"role": "user", "content": "why? "},)},
        {"max_tokens": 1},
        {"temperature": 0.1},
        {"seed": 0},
        {"stream": False},
        {"extra": {"cache_prompt": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_a_request_changes_its_hash(change):
    """A field that did not would give the stored answer to another question."""
    request = ChatRequest("m", QUESTION)
    assert set(change) <= {field.name for field in dataclasses.fields(request)}
    assert dataclasses.replace(request, **change).hash() != request.hash()


@given(
    st.text(), st.dictionaries(st.text().filter(lambda name: name != "model"), st.integers() | st.text(), max_size=3)
)
def test_a_request_survives_its_dict(content, extra):
    """It is stored beside its reply."""
    extra = {f"x_{name}": value for name, value in extra.items()}
    request = ChatRequest("m", ({"role": "user", "content": content},), extra=extra)
    assert ChatRequest.from_dict(request.as_dict()).hash() == request.hash()
