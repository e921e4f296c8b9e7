"""What is read out of a stream: text, counts, times; and when it is complete."""

from __future__ import annotations

import dataclasses
import json

import pytest
from asking import ask, ask_at

from pytest_llmbench.demo import Answer, Close, DemoProvider, Event, Page, Raw, Reset, Wait
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.metrics import call_metrics

ASKED = {"stream": True, "stream_options": {"include_usage": True}, "messages": []}
TIMINGS = {"prompt_n": 12, "cache_n": 3, "prompt_ms": 80.5, "predicted_n": 7, "predicted_ms": 60.0}


def whole_stream(answer: Answer) -> bytes:
    return b"".join(step.data for step in answer.steps(ASKED) if isinstance(step, Event))


def delta(**fields) -> Event:
    return Event({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}, "content")


def test_a_streamed_reply_is_put_together():
    """Text, finish reason, the model the server names, and both token counts."""
    reply = ask(Answer("One two three.", completion_tokens=5))
    assert reply.text == "One two three."
    assert reply.finish_reason == "stop"
    assert (reply.model, reply.served_model) == ("demo/name", "served-name")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 5)
    assert reply.streamed
    assert not reply.usage.estimated


def test_a_reply_that_is_not_streamed_has_no_time_to_first_token():
    """Not measured is None, never 0; the time of the whole request is there."""
    reply = ask(Answer("One two three.", reasoning=["hm "], timings=TIMINGS), stream=False)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("One two three.", "hm ", "stop")
    assert reply.timing.ttft_s is None
    assert reply.timing.e2e_s > 0
    assert not reply.streamed
    assert reply.timing.server == TIMINGS
    assert "ttft_s" not in call_metrics(reply.timing, reply.usage)


def test_the_request_says_what_was_asked():
    """Model id, messages, parameters, extras, usage wanted; what was not given is not sent."""
    with DemoProvider() as provider:
        ask_at(provider, max_tokens=3, seed=7, temperature=0.5, extra={"cache_prompt": False})
        ask_at(provider, stream=False)
        full, bare = (call.body for call in provider.log)
        keys = {call.headers["authorization"] for call in provider.log}
    message = {"role": "user", "content": "say something"}
    assert full == {
        "model": "served-name",
        "messages": [message],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 3,
        "seed": 7,
        "temperature": 0.5,
        "cache_prompt": False,
    }
    assert bare == {"model": "served-name", "messages": [message], "stream": False, "temperature": 0.0}
    assert keys == {"Bearer sk-very-secret-key"}


def test_role_only_and_progress_events_are_no_first_token():
    """A server that reports its progress would otherwise look as if it answered in no time."""
    reply = ask(Answer("late", progress_events=3, ttft_s=0.3))
    assert reply.timing.headers_s < 0.3
    assert reply.timing.ttft_s >= 0.3


def test_headers_and_comments_are_no_first_token():
    """Headers come long before the first token, and servers ping while they think."""
    steps = [Raw(b": ping\n\n"), Wait(0.3), delta(content="x"), Event("[DONE]", "done")]
    assert ask(Page(steps)).timing.ttft_s >= 0.3


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_and_counts_as_the_first_token(field):
    """`ttft_s` ends at the first thought, `ttft_answer_s` at the first word of the answer."""
    reply = ask(Answer("Yes.", reasoning=["Let me ", "think. "], itl_s=0.15, reasoning_field=field))
    assert (reply.reasoning, reply.text) == ("Let me think. ", "Yes.")
    assert reply.timing.ttft_answer_s - reply.timing.ttft_s >= 0.25


def test_both_spellings_of_reasoning_in_one_event_count_once():
    """Some gateways send the same text under both names."""
    reply = ask(Page([delta(reasoning="hm", reasoning_content="hm"), Event("[DONE]", "done")]))
    assert reply.reasoning == "hm"


def test_tool_call_arguments_count_as_generated_text():
    """For the times; they are no text of the answer."""
    reply = ask(Answer("", tool_arguments=['{"city":', '"Ulm"}'], ttft_s=0.2, itl_s=0.2))
    assert reply.text == ""
    assert reply.timing.ttft_s >= 0.2
    assert reply.timing.ttft_answer_s == reply.timing.ttft_s
    assert reply.timing.last_token_s - reply.timing.ttft_s >= 0.15


def test_tokens_are_the_servers_count_not_the_number_of_events():
    """Emoji: 48 tokens came in 19 events; counting events would make the model 2.5 times too slow."""
    reply = ask(Answer(pieces=["😀"] * 19, completion_tokens=48, itl_s=0.005))
    assert reply.text == "😀" * 19
    assert reply.usage.completion_tokens == 48
    assert len(reply.timing.gaps_s) == 18
    span_s = reply.timing.last_token_s - reply.timing.ttft_s
    assert call_metrics(reply.timing, reply.usage)["tpot_s"] == pytest.approx(span_s / 47)


def test_emoji_cut_in_two_are_put_together():
    """Surrogate halves in two events, bytes of one character in two chunks; a lone half becomes a replacement sign."""
    halves = [delta(content="\ud83d"), delta(content="\ude00 \ud83d"), Event("[DONE]", "done")]
    assert ask(Page(halves)).text == "😀 �"
    stream = whole_stream(Answer(pieces=["ü😀"]))
    cut = stream.index("😀".encode()) + 2
    assert ask(Page([Raw(stream[:cut]), Wait(0.05), Raw(stream[cut:])])).text == "ü😀"


def test_several_events_in_one_chunk_are_all_read():
    """As after a stall, when the kernel had collected them."""
    reply = ask(Page([Raw(whole_stream(Answer("One two three.")))]))
    assert reply.text == "One two three."
    assert len(reply.timing.gaps_s) == 2


def test_usage_that_is_not_told_is_none():
    """Neither 0 nor a guess that looks like a count."""
    reply = ask(Answer("One two three.", usage=False))
    assert reply.usage.prompt_tokens is None
    assert reply.usage.completion_tokens is None
    assert not {"tpot_s", "decode_tps"} & call_metrics(reply.timing, reply.usage).keys()


def test_llama_cpp_timings_are_kept_and_count_where_usage_is_silent():
    """Prompt tokens are those processed and those cached."""
    reply = ask(Answer("One two.", usage=False, timings=TIMINGS))
    assert reply.timing.server == TIMINGS
    assert (reply.usage.prompt_tokens, reply.usage.cached_tokens, reply.usage.completion_tokens) == (15, 3, 7)


def test_cached_tokens_of_usage_are_read():
    """`prompt_tokens_details.cached_tokens`."""
    assert ask(Answer("hi", cached_tokens=2)).usage.cached_tokens == 2


@pytest.mark.parametrize("nonsense", [-1, True, "12", 1e400, None], ids=repr)
def test_a_count_that_is_no_count_is_not_measured(nonsense):
    """The answer is not lost for it."""
    usage = f'{{"choices": [], "usage": {{"completion_tokens": {json.dumps(nonsense).replace("Infinity", "1e999")}}}}}'
    reply = ask(Page([delta(content="fine"), Event(usage, "usage"), Event("[DONE]", "done")]))
    assert reply.text == "fine"
    assert reply.usage.completion_tokens is None


@pytest.mark.parametrize("missing", [{"done": False}, {"finish_reason": None}], ids=["no [DONE]", "no finish reason"])
def test_either_terminal_frame_makes_a_reply_complete(missing):
    """Some hosts leave out the one, some the other."""
    assert ask(Answer("One two.", **missing)).text == "One two."


def test_neither_terminal_frame_is_a_truncated_stream():
    """Though HTTP ended well: other clients take this for a complete answer."""
    with pytest.raises(WireError, match="without a finish reason") as caught:
        ask(Answer("One two.", finish_reason=None, done=False, usage=False))
    assert caught.value.category is Category.STREAM_TRUNCATED
    assert caught.value.partial_text == "One two."


@pytest.mark.parametrize("cut", [Close(), Reset(), None], ids=["closed", "reset", "ended as if complete"])
def test_a_stream_cut_after_any_event_is_never_complete(cut):
    """Until the finish reason has come; what had come by then is in the error."""
    answer = Answer("One two three.", reasoning=["hm "], tool_arguments=["{}"])
    kinds = [step.kind for step in answer.steps(ASKED) if isinstance(step, Event)]
    finished = kinds.index("finish") + 1
    for count in range(finished):
        with pytest.raises(WireError) as caught:
            ask(dataclasses.replace(answer, cut_after_events=count, cut=cut))
        assert caught.value.category in {Category.STREAM_TRUNCATED, Category.NETWORK_RESET}
        assert "One two three.".startswith(caught.value.partial_text)
    for count in range(finished, len(kinds)):
        assert ask(dataclasses.replace(answer, cut_after_events=count, cut=cut)).text == "One two three."


def test_a_stream_cut_at_any_byte_is_never_complete():
    """Also within a frame, whatever half a frame looks like."""
    stream = whole_stream(Answer("One two.", role_event=False, usage=False))
    finish_ends_at = stream.index(b"\n\n", stream.index(b'"finish_reason": "stop"')) + 2
    cuts = iter([*range(0, finish_ends_at, 3), finish_ends_at - 1, finish_ends_at])
    with DemoProvider(lambda _: Page([Raw(stream[: next(cuts)]), Close()])) as provider:
        for _ in range(len(range(0, finish_ends_at, 3)) + 1):
            with pytest.raises(WireError) as caught:
                ask_at(provider)
            assert caught.value.category is Category.STREAM_TRUNCATED
        assert ask_at(provider).text == "One two."


def test_nothing_after_done_is_waited_for():
    """A server that keeps the connection open after `[DONE]` has answered all the same."""
    answer = Answer("One two.")
    assert ask(Page([*answer.steps(ASKED), Wait(float("inf"))])).text == "One two."


def test_the_last_event_ends_the_request_time():
    """The usage event comes after the last token: `e2e_s` includes it, `last_token_s` does not."""
    steps = [delta(content="x"), Wait(0.2), Event("[DONE]", "done")]
    timing = ask(Page(steps)).timing
    assert timing.e2e_s - timing.last_token_s >= 0.15
    assert timing.connect_s > 0


def test_the_stall_in_a_stream_shows_in_its_gaps():
    """The longest gap is the longest stall."""
    steps = [delta(content="a"), delta(content="b"), Wait(0.3), delta(content="c"), Event("[DONE]", "done")]
    reply = ask(Page(steps))
    assert call_metrics(reply.timing, reply.usage)["max_stall_s"] >= 0.25
    assert len(reply.timing.gaps_s) == 2


def test_raw_events_are_kept_on_request():
    """As they came, in order; otherwise they are thrown away."""
    assert ask(Answer("hi")).events == ()
    events = ask(Answer("hi"), keep_events=True).events
    assert json.loads(events[1])["choices"][0]["delta"] == {"content": "hi"}
    assert events[-1] == "[DONE]"


def test_only_the_first_choice_is_the_answer():
    """A server that sends more is not mixed up."""
    other = Event({"choices": [{"index": 1, "delta": {"content": "other"}}]}, "content")
    assert ask(Page([delta(content="mine"), other, Event("[DONE]", "done")])).text == "mine"


def test_a_server_that_does_not_stream_although_asked_is_understood():
    """One JSON object: a reply without stream times."""
    whole = json.dumps({"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]})
    reply = ask(Page([Raw(whole.encode())], content_type="application/json"))
    assert reply.text == "all at once"
    assert not reply.streamed
    assert reply.timing.ttft_s is None


def test_the_stamps_agree_with_the_providers_own_log():
    """Time to first token and the span of the tokens, against when the server sent them."""
    with DemoProvider(Answer("word " * 20, ttft_s=0.5, itl_s=0.03)) as provider:
        timing = ask_at(provider).timing
        (call,) = provider.chats()
    assert timing.ttft_s == pytest.approx(call.ttft_s, abs=0.3)
    assert timing.last_token_s == pytest.approx(call.last_token_s, abs=0.3)
