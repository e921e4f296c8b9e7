"""What goes wrong while a model is asked, and the category each failure gets."""

from __future__ import annotations

import dataclasses
import json
import logging
import traceback

import pytest
from asking import KEY, PATIENT, ask, ask_at

from pytest_llmbench.clients.refusals import shorten
from pytest_llmbench.demo import Answer, DemoProvider, Event, Failure, Page, Raw, Wait
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.secret import Secret

FOREVER = Wait(float("inf"))
TOKEN = Event({"choices": [{"index": 0, "delta": {"content": "word"}}]}, "content")


def failure_of(reaction, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        ask(reaction, **options)
    return caught.value


@pytest.mark.parametrize(
    ("reaction", "late", "category"),
    [
        (Answer("hi", headers_after_s=60), "ttft_s", Category.TIMEOUT_TTFT),
        (Answer("hi", ttft_s=60), "ttft_s", Category.TIMEOUT_TTFT),
        (Page([Wait(0.1), Raw(b": ping\n\n")] * 300), "ttft_s", Category.TIMEOUT_TTFT),
        (Answer("hi", progress_events=10_000, ttft_s=60), "ttft_s", Category.TIMEOUT_TTFT),
        (Answer("one two three", stall_after_events=2), "idle_s", Category.TIMEOUT_IDLE),
        (Page([TOKEN, *[Wait(0.1), Raw(b": ping\n\n")] * 300]), "idle_s", Category.TIMEOUT_IDLE),
        (Page([TOKEN, Wait(0.1)] * 300), "total_s", Category.TIMEOUT_TOTAL),
    ],
    ids=[
        "headers that never come",
        "a first token that never comes",
        "pings instead of a first token",
        "progress instead of a first token",
        "a stall between tokens",
        "pings instead of tokens",
        "tokens without end",
    ],
)
def test_each_deadline_of_a_stream_has_its_category(reaction, late, category):
    """Pings and progress keep no deadline away: they are no answer."""
    failure = failure_of(reaction, deadlines=dataclasses.replace(PATIENT, **{late: 0.8}))
    assert failure.category is category
    assert f"--llmbench-{late.removesuffix('_s')}-timeout-s" in failure.hint


def test_a_slow_stream_that_keeps_moving_meets_no_idle_deadline():
    """Each event starts the idle time anew."""
    deadlines = dataclasses.replace(PATIENT, idle_s=0.8)
    assert ask(Answer("a b c d e f", itl_s=0.3), deadlines=deadlines).text == "a b c d e f"


def test_what_had_come_before_a_stall_is_in_the_error():
    """For the log; it is never scored."""
    failure = failure_of(
        Answer("one two three", stall_after_events=3), deadlines=dataclasses.replace(PATIENT, idle_s=0.3)
    )
    assert failure.partial_text == "one two "


@pytest.mark.parametrize(
    ("failure", "category"),
    [
        (Failure(400), Category.INVALID_REQUEST),
        (Failure(400, code="context_length_exceeded"), Category.CONTEXT_LENGTH),
        (Failure(400, code=400, type="exceed_context_size_error"), Category.CONTEXT_LENGTH),
        (Failure(400, code="content_filter"), Category.CONTENT_FILTER),
        (Failure(401, code="invalid_api_key"), Category.AUTH),
        (Failure(402), Category.QUOTA_EXHAUSTED),
        (Failure(403), Category.AUTH),
        (Failure(404), Category.INVALID_REQUEST),
        (Failure(404, code="model_not_found"), Category.MODEL_MISSING),
        (Failure(404, "The model 'x' does not exist", type="NotFoundError"), Category.MODEL_MISSING),
        (Failure(429), Category.RATE_LIMITED),
        (Failure(429, code="insufficient_quota"), Category.QUOTA_EXHAUSTED),
        (Failure(500), Category.SERVER),
        (Failure(500, "Context size has been exceeded."), Category.CONTEXT_LENGTH),
        (Failure(502, body="<html><h1>Bad gateway", content_type="text/html"), Category.SERVER),
        (Failure(503, "Loading model", code=503, type="unavailable_error"), Category.OVERLOADED),
        (Failure(529), Category.OVERLOADED),
        (Failure(418, body='{"detail": "I am a teapot"}'), Category.INVALID_REQUEST),
        (Failure(200), Category.SERVER),
        (Failure(200, code=429), Category.RATE_LIMITED),
        (Failure(200, code="insufficient_quota"), Category.QUOTA_EXHAUSTED),
        (Failure(200, body='{"error": "out of luck"}'), Category.SERVER),
        (Failure(200, body='{"object": "error", "message": "no", "code": 400}'), Category.INVALID_REQUEST),
    ],
    ids=lambda value: (
        f"{value.status} {value.code or value.body or value.message}" if isinstance(value, Failure) else ""
    ),
)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_an_error_of_the_provider_gets_its_category(failure, category, stream):
    """By code and type where there are any, else by status; also where the status says success."""
    caught = failure_of(failure, stream=stream)
    assert caught.category is category
    assert caught.status == failure.status


def test_the_providers_words_are_in_the_message():
    """With the status and the address."""
    message = str(failure_of(Failure(429, "slow down, please")))
    assert "HTTP 429: slow down, please" in message
    assert "/v1/chat/completions" in message


@pytest.mark.parametrize("body", ['{"detail": "I am a teapot"}', '{"message": "I am a teapot"}', "I am a teapot"])
def test_the_message_is_found_in_other_forms_of_errors(body):
    """FastAPI's, a bare one, and plain text."""
    assert "HTTP 418: I am a teapot" in str(failure_of(Failure(418, body=body)))


def test_a_redirect_names_where_it_leads_and_is_not_followed():
    """Prompt and key go to nobody else."""
    with DemoProvider() as elsewhere:
        failure = failure_of(Failure(308, headers={"Location": elsewhere.url + "/v1/chat/completions"}))
        assert elsewhere.log == []
    assert failure.category is Category.INVALID_REQUEST
    assert f"a redirect to {elsewhere.url}" in str(failure)


@pytest.mark.parametrize("after", [0, 1, 3], ids=["at once", "after the role", "amid the text"])
def test_an_error_event_ends_the_stream(after):
    """Even where the connection stays open; what had come is kept."""
    answer = Answer("one two three", error_after_events=after, error_message="the GPU fell off")
    failure = failure_of(Page([*answer.steps({"stream": True}), FOREVER]))
    assert failure.category is Category.STREAM_ERROR_EVENT
    assert "the GPU fell off" in str(failure)
    assert failure.partial_text == "one two "[: 4 * max(0, after - 1)]


def test_a_text_about_errors_is_no_error_event():
    """A model may write JSON with the key "error" in it."""
    text = json.dumps({"error": {"message": "quoted"}})
    assert ask(Answer(pieces=[text])).text == text


@pytest.mark.parametrize(
    "data",
    [
        b"{not json}",
        b'{"choices": [{"delta": {"content": "half',
        b'{"choices": [{"delta": {"content": "x"}}], "timings": {"prompt_ms": NaN}}',
        b'{"timings": {"prompt_ms": -Infinity}}',
        b"[1, 2]",
        b'"text"',
        b'{"choices": [7]}',
        b'{"choices": {"delta": {}}}',
        b'{"choices": [{"delta": {"content": 7}}]}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
    ],
    ids=lambda data: data[:40].decode(),
)
@pytest.mark.parametrize("before", [[], [TOKEN]], ids=["first", "later"])
def test_an_event_that_is_nonsense_is_malformed(data, before):
    """Never half a reply, never a crash of ours."""
    failure = failure_of(Page([*before, Raw(b"data: " + data + b"\n\n"), Event("[DONE]", "done")]))
    assert failure.category is Category.STREAM_MALFORMED
    assert failure.partial_text == "word" * len(before)


def test_nonsense_at_the_start_ends_the_stream_at_once():
    """Nobody waits for the first token of a server that talks nonsense."""
    assert failure_of(Page([Raw(b"data: {nonsense\n\n"), FOREVER])).category is Category.STREAM_MALFORMED


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_web_page_with_status_200_is_no_reply(stream):
    """A login page or a proxy's greeting; the hint says what to check."""
    page = Page([Raw(b"<!doctype html><title>Welcome</title>")], content_type="text/html")
    failure = failure_of(page, stream=stream)
    assert failure.category is Category.STREAM_MALFORMED
    assert "OpenAI-compatible" in failure.hint


@pytest.mark.parametrize(
    "failure",
    [
        Failure(404, body="<html><title>404 Not Found</title><h1>Not Found</h1></html>", content_type="text/html"),
        Failure(404, body=""),
        Failure(404, body='{"detail": "Not Found"}'),
        Failure(404, "File Not Found", code=404, type="not_found_error"),
        Failure(404, body='{"error": "Unexpected endpoint or method. (POST /chat)"}'),
        Failure(405, body="Method Not Allowed", content_type="text/plain"),
        Failure(405, "Method Not Allowed", code=405),
        Failure(501, body="<html>Unsupported method</html>", content_type="text/html"),
    ],
    ids=lambda failure: f"{failure.status} {failure.body}",
)
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_where_nothing_is_served_the_hint_asks_for_the_address(failure, wire):
    """The mistake that is made most; asking again does not help, a 501 least of all."""
    caught = failure_of(failure, wire=wire)
    assert caught.category is Category.INVALID_REQUEST
    assert f"the address of an {'OpenAI' if wire == 'openai' else 'Anthropic'}-compatible server?" in caught.hint


@pytest.mark.parametrize(
    "failure",
    [
        Failure(404, "The model `x` does not exist", code="model_not_found"),
        Failure(404, "No endpoints found that support tool use.", code=404),
        Failure(404, "Your organization is not allowed to use gpt-9", code="not_allowed"),
        Failure(400, "temperature: not a number"),
        Failure(403, "this key may not do that"),
        Failure(500, body="<html><title>Oops</title></html>", content_type="text/html"),
    ],
    ids=lambda failure: f"{failure.status} {failure.message}",
)
def test_what_a_providers_own_error_says_is_not_blamed_on_the_address(failure):
    """It is one that was found."""
    assert "the address" not in failure_of(failure).hint


def test_a_web_page_with_status_403_is_not_blamed_on_the_key_alone():
    """A proxy's page: told by its title, which stands behind a screenful of style sheets."""
    page = "<!DOCTYPE html>\n<html><head><style>" + "a{}" * 500 + "</style><title>Blocked &amp; logged</title></head>"
    failure = failure_of(Failure(403, body=page, content_type="text/html"))
    assert 'HTTP 403: a web page, "Blocked & logged"' in str(failure)
    assert "a proxy" in failure.hint
    assert failure.category is Category.AUTH


def test_a_giant_event_is_refused():
    """Before it fills the memory."""
    steps = [Raw(b"data: "), *[Raw(b"x" * 1024 * 1024)] * 9, FOREVER]
    failure = failure_of(Page(steps))
    assert failure.category is Category.STREAM_TOO_LARGE
    assert "/v1/chat/completions" in str(failure)


@pytest.mark.parametrize(
    "reaction",
    [
        Failure(401, f"no such key: {KEY}"),
        Failure(401, body=f"<b>{KEY}</b>", content_type="text/html"),
        Failure(403, body=f"<html><title>{'x' * 280} {KEY}</title></html>", content_type="text/html"),
        Failure(200, f"no such key: {KEY}"),
        Failure(302, headers={"Location": f"http://127.0.0.1/?key={KEY}"}),
        Answer("x", error_after_events=1, error_message="x" * 290 + KEY),
        Page([Raw(f"data: {KEY}\n\n".encode()), FOREVER]),
        Page([Raw(KEY.encode())], content_type="application/json"),
    ],
    ids=["message", "page", "title", "success", "redirect", "event", "nonsense", "body"],
)
def test_the_key_is_in_no_error_though_the_provider_sends_it_back(reaction):
    """Neither whole nor cut off, in message, repr and traceback."""
    failure = failure_of(reaction)
    told = "".join(traceback.format_exception(failure)) + repr(failure)
    assert KEY[:10] not in told


@pytest.mark.parametrize("key", ["x", "any", "none", "EMPTY", "Ollama", "lm-studio", "sk-no-key-required"])
def test_a_word_in_place_of_a_key_is_no_secret_and_tears_no_message(key):
    """Local servers want one, and any will do."""
    told = f"Expecting value: any key but none, {key}"
    assert shorten(told, Secret(key)) == told


@pytest.mark.parametrize(
    "key", ["k3y", "12345", "hunter22", "password", "correct-horse", KEY, f"{KEY}-no-key-required"]
)
def test_whatever_else_is_given_as_a_key_is_in_no_message(key):
    """Short ones, and such that look like words, too."""
    assert key not in shorten(f"no such key: {key}.", Secret(key))


def test_the_key_and_the_prompt_are_in_no_log(caplog):
    """Not even where everything is logged."""
    caplog.set_level(logging.DEBUG)
    ask(Answer("hi"))
    assert "/v1/chat/completions" in caplog.text
    assert KEY[:10] not in caplog.text
    assert "say something" not in caplog.text


def test_hostile_text_in_an_error_cannot_paint_the_terminal():
    """One printable line of bounded length."""
    message = failure_of(Failure(500, "\x1b[2Jboo\r\n\u202egnp" + "x" * 10_000)).message
    assert message.isprintable()
    assert len(message) < 500


def test_a_wrong_key_is_an_auth_error_and_the_right_one_passes():
    """End to end, with a provider that checks."""
    with DemoProvider(api_key=KEY) as provider:
        assert ask_at(provider).text == "You said: say something"
    with DemoProvider(api_key="another") as provider, pytest.raises(WireError) as caught:
        ask_at(provider)
    assert caught.value.category is Category.AUTH


@pytest.mark.parametrize("body", [b"{}", b'{"status": "ok"}', b'{"choices": []}'])
def test_json_that_is_no_completion_is_no_empty_reply(body):
    """A wrong address may well answer 200 with JSON."""
    failure = failure_of(Page([Raw(body)], content_type="application/json"), stream=False)
    assert failure.category is Category.STREAM_MALFORMED
    assert "without choices" in str(failure)


def test_a_stream_that_ends_without_any_choice_is_no_empty_reply():
    """`[DONE]` alone says nothing."""
    assert failure_of(Page([Raw(b"data: [DONE]\n\n")])).category is Category.STREAM_MALFORMED


def test_a_number_beyond_all_floats_is_not_measured():
    """It is left out, as any nonsense among the timings; it does not end in a Python error."""
    timings = Raw(b'data: {"choices": [], "timings": {"prompt_n": ' + b"9" * 400 + b', "prompt_ms": 5}}\n\n')
    finish = Event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "finish")
    reply = ask(Page([TOKEN, finish, timings, Raw(b"data: [DONE]\n\n")]))
    assert reply.timing.server == {"prompt_ms": 5}


def test_a_reply_that_finished_is_whole_though_the_server_then_hangs():
    """The finish reason came; only the end of the stream did not."""
    finish = Event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "finish")
    reply = ask(Page([TOKEN, finish, FOREVER]), deadlines=dataclasses.replace(PATIENT, idle_s=0.5))
    assert (reply.text, reply.finish_reason) == ("word", "stop")
