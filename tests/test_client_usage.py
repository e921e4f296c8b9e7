"""Token counts and bills, however a provider words them."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask

from pytest_llmbench.clients.openai_usage import billed_usd, usage_of
from pytest_llmbench.demo import Event, Page
from pytest_llmbench.errors import WireError
from pytest_llmbench.records import Usage

FINISH = Event({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}, "finish")
DONE = Event("[DONE]", "done")

OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0, "cache_write_tokens": 12},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
OPENROUTER = {**OPENAI, "cost": 0.00014475, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.00014475}}
CASES = {
    "OpenAI": (OPENAI, Usage(100, 30, 64, 12, 20)),
    "OpenRouter": (OPENROUTER, Usage(100, 30, 64, 12, 20, billed_usd="0.00014475")),
    "DeepSeek": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        Usage(100, 30, 64, None, 20),
    ),
    "Gemini, which thinks beside its completion and does not say so": (
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        Usage(20, 603, None, None, 405),
    ),
    "xAI, which counts reasoning beside its completion": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 315,
            "completion_tokens_details": {"reasoning_tokens": 300},
            "cost_in_usd_ticks": 318319000,
        },
        Usage(10, 305, None, None, 300, billed_usd="0.0318319000"),
    ),
    "reasoning alone, beside an empty completion, and no total": (
        {"prompt_tokens": 21, "completion_tokens": 0, "completion_tokens_details": {"reasoning_tokens": 60}},
        Usage(21, 60, None, None, 60),
    ),
    "a gateway to Anthropic that counts the cache beside its prompt": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 115,
            "cache_read_input_tokens": 70,
            "cache_creation_input_tokens": 30,
        },
        Usage(110, 5, 70, 30),
    ),
    "the same without a total": (
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 70}},
        Usage(80, 5, 70),
    ),
    "Moonshot": ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}, Usage(10, 5, 4)),
    "Ollama": ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
    "a total that is too small": ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}, Usage(10, 5)),
    "details that are null": (
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": []},
        Usage(10, 5),
    ),
    "more than anybody can count": ({"prompt_tokens": 2**64, "completion_tokens": 1e300}, Usage()),
    "nothing": ({}, Usage()),
}


@pytest.mark.parametrize(("told", "ours"), CASES.values(), ids=CASES.keys())
def test_counts_mean_the_same_whoever_told_them(told, ours):
    """All prompt tokens with those of the cache, all generated ones with reasoning; each part as far as it is told."""
    assert usage_of(told, {}) == ours


@pytest.mark.parametrize(
    ("told", "usd"),
    [
        ({"cost": 0.00014475}, "0.00014475"),
        ({"cost": 1e-7}, "0.0000001"),
        ({"cost": "0.25"}, "0.25"),
        ({"cost": 2}, "2"),
        ({"cost": 0}, "0"),
        ({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.35}}, "0.35"),
        ({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.95}}, "1.00"),
        ({"cost": 0.05, "is_byok": True, "cost_details": {}}, None),
        ({"cost": 0.05, "is_byok": True}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": "free"}, None),
        ({"cost": "NaN"}, None),
        ({"cost": 1e999}, None),
        ({"cost": "1e999999"}, None),
        ({"cost": "1e-999999"}, None),
        ({"cost": "0e999999"}, "0"),
        ({"cost": "0." + "1" * 50}, None),
        ({"cost": 10**30}, None),
        ({"cost": None}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_bill_is_decimal_text_or_unknown(told, usd):
    """Digit by digit as the provider wrote it; nonsense is unknown, never nothing."""
    assert billed_usd(told) == usd


def streamed(*usages: dict[str, Any]) -> Usage:
    events = [Event({"choices": [], "usage": usage}, "usage") for usage in usages]
    return ask(Page([FINISH, *events, DONE])).usage


def test_the_bill_comes_with_the_last_event():
    """As OpenRouter sends it; it is in the reply."""
    assert streamed(OPENROUTER).billed_usd == "0.00014475"


def test_of_counts_that_grow_the_last_holds():
    """Gemini tells its usage with every event."""
    first = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
    assert streamed(first, {"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13}) == Usage(4, 9)


def test_groqs_usage_is_found_in_its_own_object():
    """Older answers have it nowhere else."""
    last = Event({"choices": [], "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}}, "usage")
    assert ask(Page([FINISH, last, DONE])).usage == Usage(3, 2)


def test_counts_of_a_broken_stream_are_not_those_of_what_it_generated():
    """What had been counted by then is less than what will be billed: only the prompt's tokens are told."""
    growing = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5, "cost": 0.1}
    half = Event({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": growing}, "content")
    with pytest.raises(WireError) as caught:
        ask(Page([half]))
    assert caught.value.usage == Usage(4)
    with pytest.raises(WireError) as caught:
        ask(Page([Event({"choices": [{"index": 0, "delta": {"content": "x"}}]}, "content")]))
    assert caught.value.usage is None


def test_an_error_after_the_usage_keeps_it():
    """The provider bills it."""
    error = Event({"error": {"message": "late"}, "choices": []}, "error")
    with pytest.raises(WireError, match="late") as caught:
        ask(Page([FINISH, Event({"choices": [], "usage": OPENROUTER}, "usage"), error]))
    assert caught.value.usage == Usage(100, 30, 64, 12, 20, billed_usd="0.00014475")
