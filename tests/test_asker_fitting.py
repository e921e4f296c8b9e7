"""A request is made to fit its model by stated rules, or refused before anything is spent."""

from __future__ import annotations

import pytest

from pytest_llmbench.asker.fitting import REFUSED, fitted, needs
from pytest_llmbench.asker.probing import TRIED
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Capabilities, Target

SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}}
WANTED = {"type": "json_schema", "json_schema": {"name": "ticket", "schema": SCHEMA}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def target(**takes: bool) -> Target:
    """A model that takes what is said, and of which nothing else is known."""
    return Target(
        "lab/m", "lab", "m", "openai", "https://lab.example", capabilities=Capabilities(**takes, source="table")
    )


def request(content="Hi", *, system: str = "", **fields) -> ChatRequest:
    """A user's message, with a system message before it where given."""
    before = ({"role": "system", "content": system},) if system else ()
    return ChatRequest("lab/m", (*before, {"role": "user", "content": content}), **fields)


def test_a_request_that_fits_is_the_very_same():
    """Nothing is copied for thousands of samples."""
    asked = request(system="Be brief.", seed=1, max_tokens=10)
    assert fitted(asked, target(seed=True, system=True)) == (asked, ())
    assert fitted(asked, target())[0] is asked


@pytest.mark.parametrize(
    ("takes", "asked", "field"),
    [({"temperature": False}, request(temperature=0.7), "temperature"), ({"seed": False}, request(seed=7), "seed")],
)
def test_temperature_and_seed_are_left_out_with_a_note(takes, asked, field):
    """The answer is one to the same question, only less repeatable."""
    fit, notes = fitted(asked, target(**takes))
    assert getattr(fit, field) is None
    [note] = notes
    assert note.startswith(f"lab/m: takes no {field}")


def test_a_reasoning_effort_is_left_out_for_a_model_that_does_not_reason():
    """All the ways in which it is written."""
    fit, notes = fitted(request(extra={"reasoning_effort": "high", "top_k": 3}), target(reasoning=False))
    assert (fit.extra, len(notes)) == ({"top_k": 3}, 1)


def test_a_system_message_goes_before_the_users():
    """Also one of several, and before a picture."""
    fit, notes = fitted(request(system="Be brief."), target(system=False))
    assert fit.messages == ({"role": "user", "content": "Be brief.\n\nHi"},)
    assert len(notes) == 1
    fit, _ = fitted(request([PICTURE], system="Be brief."), target(system=False))
    assert fit.messages == ({"role": "user", "content": [{"type": "text", "text": "Be brief."}, PICTURE]},)
    alone = ChatRequest("lab/m", ({"role": "system", "content": "Be brief."},))
    assert fitted(alone, target(system=False))[0].messages == ({"role": "user", "content": "Be brief."},)


def test_a_schema_is_written_into_the_prompt():
    """Whole, after what the user says."""
    fit, notes = fitted(request("Sort this.", extra={"response_format": WANTED, "top_k": 3}), target(json_schema=False))
    [message] = fit.messages
    assert message["content"].startswith("Sort this.\n\nAnswer with JSON alone")
    assert '"queue"' in message["content"]
    assert (fit.extra, len(notes)) == ({"top_k": 3}, 1)


def test_a_schema_after_an_answer_becomes_a_message_of_its_own():
    """The last word is the user's."""
    history = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"})
    asked = ChatRequest("lab/m", history, extra={"response_format": WANTED})
    fit, _ = fitted(asked, target(json_schema=False))
    assert [message["role"] for message in fit.messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("feature", "asked"),
    [
        ("images", request([PICTURE])),
        ("audio", request([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])),
        ("tools", request(extra={"tools": [{"type": "function", "function": {"name": "f"}}]})),
        ("logprobs", request(extra={"logprobs": True})),
    ],
)
def test_what_the_question_cannot_do_without_is_refused(feature, asked):
    """With who says so, and what to do where that is wrong."""
    assert fitted(asked, target())[0] is asked
    with pytest.raises(UsageError, match=f"does not take {feature} .says table.") as caught:
        fitted(asked, target(**{feature: False}))
    assert f"capabilities: {{{feature}: true}}" in caught.value.hint


def test_several_changes_are_told_one_by_one():
    """None of them silently."""
    asked = request(system="S", seed=1, extra={"response_format": WANTED})
    fit, notes = fitted(asked, target(system=False, seed=False, json_schema=False, temperature=False))
    assert len(notes) == 4
    assert (fit.seed, fit.temperature, fit.extra, len(fit.messages)) == (None, None, {}, 1)


def test_an_answer_is_asked_for_no_longer_than_the_model_writes():
    """Providers refuse more; the worst case of its cost sinks with it."""
    whole = Target("lab/m", "lab", "m", "openai", "https://lab.example", max_output_tokens=100)
    fit, notes = fitted(request(max_tokens=500), whole)
    assert (fit.max_tokens, notes) == (100, ("lab/m: max_tokens is 100 instead of 500, the most that it gives",))
    assert fitted(request(max_tokens=100), whole)[1] == ()


def test_every_capability_has_a_rule():
    """What a request may need is refused or degrades; what is tried is among it."""
    everything = request(
        [PICTURE, {"type": "input_audio"}],
        system="S",
        seed=1,
        temperature=0.5,
        extra={"tools": [1], "logprobs": True, "reasoning_effort": "low", "response_format": WANTED},
    )
    fields = set(Capabilities.__dataclass_fields__) - {"source"}
    assert needs(everything) == fields
    assert fields >= TRIED | REFUSED
    for feature in fields - REFUSED:
        assert fitted(
            request(system="S", seed=1, extra={"reasoning": {"effort": "low"}, "response_format": WANTED}),
            target(**{feature: False}),
        )[1]
