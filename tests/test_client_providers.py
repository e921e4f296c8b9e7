"""How providers refuse, fail and say things in their own ways, in OpenAI's format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asking import ask

from pytest_llmbench.demo import Event, Failure, Page, Raw
from pytest_llmbench.errors import Category, WireError

DONE = Event("[DONE]", "done")


def failure_of(reaction, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        ask(reaction, **options)
    return caught.value


def google(status: str, message: str, **detail: Any) -> list[dict[str, Any]]:
    return [{"error": {"code": 0, "message": message, "status": status, "details": [detail]}}]


def openrouter(code: int, message: str, **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "metadata": metadata}}


def azure(told: str, inner: str = "") -> dict[str, Any]:
    return {"error": {"code": told, "message": "no", "innererror": {"code": inner}}}


REFUSALS = {
    "OpenAI, rate": (
        429,
        {"error": {"message": "Limit of tokens per min", "type": "tokens", "code": "rate_limit_exceeded"}},
        Category.RATE_LIMITED,
    ),
    "OpenAI, rate, though it names the context": (
        429,
        {"error": {"message": "maximum context length of your tier", "type": "tokens", "code": None}},
        Category.RATE_LIMITED,
    ),
    "OpenAI, quota": (
        429,
        {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}},
        Category.QUOTA_EXHAUSTED,
    ),
    "OpenAI, key": (401, {"error": {"message": "no", "code": "invalid_api_key"}}, Category.AUTH),
    "OpenRouter, credits": (402, openrouter(402, "Insufficient credits"), Category.QUOTA_EXHAUSTED),
    "OpenRouter, too much in flight": (
        402,
        openrouter(402, "wait", limit_source="openrouter_in_flight_budget"),
        Category.RATE_LIMITED,
    ),
    "OpenRouter, moderation": (
        403,
        openrouter(403, "flagged", reasons=["violence"], flagged_input="..."),
        Category.CONTENT_FILTER,
    ),
    "OpenRouter, no such model": (
        400,
        openrouter(400, "nobody/none is not a valid model ID"),
        Category.MODEL_MISSING,
    ),
    "OpenRouter, no endpoint": (404, openrouter(404, "No endpoints found for a/b."), Category.MODEL_MISSING),
    "OpenRouter, what the upstream says": (
        400,
        openrouter(400, "Provider returned error", provider_name="X", raw="prompt is too long: 9 > 8"),
        Category.CONTEXT_LENGTH,
    ),
    "OpenRouter, upstream down": (502, openrouter(502, "Provider returned error"), Category.SERVER),
    "Gemini, rate": (
        429,
        google("RESOURCE_EXHAUSTED", "quota", violations=[{"quotaId": "GenerateRequestsPerMinutePerProject"}]),
        Category.RATE_LIMITED,
    ),
    "Gemini, the day's quota": (
        429,
        google("RESOURCE_EXHAUSTED", "quota", violations=[{"quotaId": "GenerateRequestsPerDayPerProject"}]),
        Category.QUOTA_EXHAUSTED,
    ),
    "Gemini, key": (
        400,
        google("INVALID_ARGUMENT", "API key not valid.", reason="API_KEY_INVALID"),
        Category.AUTH,
    ),
    "Gemini, overloaded": (503, google("UNAVAILABLE", "The model is overloaded."), Category.OVERLOADED),
    "Gemini, no such model": (
        404,
        google("NOT_FOUND", "models/gemini-none is not found for API version v1main"),
        Category.MODEL_MISSING,
    ),
    "Gemini, too long": (
        400,
        google("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        Category.CONTEXT_LENGTH,
    ),
    "Azure, filter": (
        400,
        azure("content_filter", "ResponsibleAIPolicyViolation"),
        Category.CONTENT_FILTER,
    ),
    "Azure, filter told inside": (
        400,
        azure("BadRequest", "ResponsibleAIPolicyViolation"),
        Category.CONTENT_FILTER,
    ),
    "Azure, deployment": (404, azure("DeploymentNotFound"), Category.MODEL_MISSING),
    "Azure, rate": (429, azure("429"), Category.RATE_LIMITED),
    "Azure, key": (401, {"statusCode": 401, "message": "Access denied"}, Category.AUTH),
    "DeepSeek, balance": (402, {"error": {"message": "Insufficient Balance"}}, Category.QUOTA_EXHAUSTED),
    "Ollama, no such model": (
        404,
        {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}},
        Category.MODEL_MISSING,
    ),
    "vLLM, too long": (
        400,
        {"object": "error", "message": "This model's maximum context length is 8 tokens", "code": 400},
        Category.CONTEXT_LENGTH,
    ),
    "Groq, capacity": (498, {"error": {"message": "flex", "type": "capacity"}}, Category.OVERLOADED),
    "an empty array": (500, [], Category.SERVER),
    "an array of nonsense": (500, [7], Category.SERVER),
    "details that are nonsense": (
        400,
        {"error": {"message": "x", "details": [1, {"violations": [2]}]}},
        Category.INVALID_REQUEST,
    ),
}


@pytest.mark.parametrize(("status", "body", "category"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_gets_its_category_whoever_refuses(status, body, category):
    """By the words that tell errors apart, not by prose that may say anything."""
    failure = failure_of(Failure(status, body=json.dumps(body), headers={"X-Ratelimit-Remaining-Requests": "3"}))
    assert failure.category is category
    assert failure.headers["x-ratelimit-remaining-requests"] == "3"


def test_the_words_of_the_provider_behind_a_router_are_in_the_message():
    """The router's own say nothing."""
    failure = failure_of(Failure(400, body=json.dumps(openrouter(400, "Provider returned error", raw="no such tool"))))
    assert "Provider returned error: no such tool" in str(failure)


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported value: 'temperature' does not support 0 with this model.",
        "`temperature` is deprecated for this model.",
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
    ],
)
def test_a_parameter_that_a_model_does_not_take_is_hinted_at(message):
    """With the place where the model's capabilities are declared."""
    failure = failure_of(Failure(400, message))
    assert failure.category is Category.INVALID_REQUEST
    assert "`capabilities`" in failure.hint


@pytest.mark.parametrize(
    ("error", "category"),
    [
        ({"code": "insufficient_quota", "message": "spent"}, Category.QUOTA_EXHAUSTED),
        ({"code": 429, "message": "slow down"}, Category.RATE_LIMITED),
        ({"code": 502, "message": "upstream is down"}, Category.STREAM_ERROR_EVENT),
        ({"message": "something"}, Category.STREAM_ERROR_EVENT),
    ],
    ids=str,
)
def test_an_error_event_has_its_own_category_where_it_tells_one(error, category):
    """A quota that is spent is not asked again, though the status said success."""
    assert failure_of(Page([Event({"error": error, "choices": []}, "error")])).category is category


def test_an_answer_that_a_router_gave_up_is_an_error():
    """OpenRouter's finish reason `error`, with the error in the choice or without any."""
    choice = {"index": 0, "delta": {"content": "half"}, "finish_reason": "error"}
    told = {**choice, "error": {"code": 502, "message": "upstream went away"}}
    failure = failure_of(Page([Event({"choices": [told]}, "finish"), DONE]))
    assert "upstream went away" in str(failure)
    assert failure.partial_text == "half"
    assert failure_of(Page([Event({"choices": [choice]}, "finish"), DONE])).category is Category.STREAM_ERROR_EVENT


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_content_in_parts_is_read(stream):
    """As Mistral's reasoning models send it."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm "}]}
    said = {"content": [thought, {"type": "text", "text": "Yes."}]}
    choice = {"index": 0, "finish_reason": "stop", "delta" if stream else "message": said}
    page = Page([Event({"choices": [choice]}, "content"), DONE])
    whole = Page([Raw(json.dumps({"choices": [choice]}).encode())], content_type="application/json")
    reply = ask(page if stream else whole, stream=stream)
    assert (reply.text, reply.reasoning) == ("Yes.", "hm ")


def test_a_refusal_to_answer_is_the_answer():
    """OpenAI says it in a field of its own."""
    choice = {"index": 0, "delta": {"refusal": "I cannot."}, "finish_reason": "stop"}
    assert ask(Page([Event({"choices": [choice]}, "content"), DONE])).text == "I cannot."


@pytest.mark.parametrize(
    ("told", "ours"),
    [("stop", "stop"), ("STOP", "stop"), ("MAX_TOKENS", "length"), ("eos", "stop"), ("model_length", "length"),
     ("content_filter: PROHIBITED", "content_filter"), ("function_call", "tool_calls")],
)  # fmt: skip
def test_finish_reasons_are_told_in_openais_words(told, ours):
    """Whatever a provider calls them."""
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": told}
    assert ask(Page([Event({"choices": [choice]}, "content"), DONE])).finish_reason == ours
