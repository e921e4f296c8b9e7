"""Prompts: how a sample becomes the messages that a model is asked."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts import DEFAULT_SYSTEM, Prompt
from pytest_llmbench.prompts.prompt import Variant
from pytest_llmbench.prompts.template import Template
from pytest_llmbench.records import Sample

NO_SYSTEM = Template("")


def prompt(text: str, **more) -> Prompt:
    """A prompt without a system message."""
    return Prompt(template=Template(text), **{"system": NO_SYSTEM, **more})


def asked(text: str, sample: Sample, **more) -> str:
    """The user's message that a sample becomes."""
    [message] = prompt(text, **more).messages(sample)
    assert message["role"] == "user"
    return message["content"]


def told(text: str, sample: Sample, **more) -> str:
    """The error of a prompt that cannot be filled."""
    with pytest.raises(UsageError) as refused:
        prompt(text, **more).check(sample)
    return str(refused.value)


def test_the_default_system_text_says_to_stay_within_the_source():
    """Who says nothing gets a prompt that asks for no invention."""
    system, user = Prompt().messages(Sample("a", "What is due?"))
    assert system == {"role": "system", "content": DEFAULT_SYSTEM}
    assert "no facts, names, numbers or dates that it does not contain" in DEFAULT_SYSTEM
    assert user == {"role": "user", "content": "What is due?"}


def test_variables_are_the_input_the_id_columns_and_those_of_the_use_case():
    """A sample's own column outranks a variable of the same name; what is no text is JSON."""
    sample = Sample("t1", "My lamp", metadata={"lang": "de", "tags": ["a", "é"]})
    text = asked("{{id}}|{{ input }}|{{lang}}|{{firm}}|{{tags}}", sample, variables={"firm": "ACME", "lang": "en"})
    assert text == 't1|My lamp|de|ACME|["a", "é"]'


def test_a_date_stands_in_a_prompt_as_people_write_it():
    """Tables bring values that JSON has no form for."""
    sample = Sample("a", "x", metadata={"due": [date(2026, 3, 1)]})
    assert asked("{{due}}", sample) == '["2026-03-01"]'


@given(st.text(max_size=50), st.text(max_size=50))
def test_what_a_value_holds_is_never_looked_at_again(first, second):
    """Whatever a cell says, braces and variables in it stay what they are."""
    sample = Sample("a", first + "{{other}}{{input}}", metadata={"other": second})
    assert asked("<{{input}}|{{other}}>", sample) == f"<{first}{{{{other}}}}{{{{input}}}}|{second}>"


@given(st.text(alphabet=st.characters(exclude_characters="{}"), min_size=1).filter(str.strip))
def test_a_text_without_variables_stays_as_it_is(text):
    """Templates have no syntax but `{{name}}`."""
    assert asked(text, Sample("a", "x")) == text


def test_a_variable_without_a_value_is_told_with_its_sample_and_what_there_is():
    """Before anything is asked."""
    message = told("{{inptu}}", Sample("t7", "x", metadata={"lang": "de"}))
    assert "the sample 't7' has no value for {{inptu}}; did you mean 'input'?" in message
    assert "{{examples}}, {{id}}, {{input}}, {{lang}}" in message


def test_every_variant_is_checked_and_the_system_text_too():
    """A variant that only one model uses fails before the first call, not when its turn comes."""
    broken = Variant(template=Template("{{input}} {{nothing}}"), system=NO_SYSTEM, models=("one/*",))
    assert "{{nothing}}" in told("{{input}}", Sample("a", "x"), variants={"broken": broken})
    assert "{{nobody}}" in told("{{input}}", Sample("a", "x"), system=Template("Be {{nobody}}"))


def test_a_sample_that_leaves_the_prompt_empty_is_told():
    """An empty question has no answer worth a call."""
    assert "nothing is asked of the sample 'a'" in told("{{input}}", Sample("a", " \n"))


def test_a_message_with_pictures_takes_the_place_of_the_input():
    """The template's words stand around the parts, as they would around a text."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sample = Sample("a", [{"role": "user", "content": [picture]}], metadata={"what": "total"})
    [message] = prompt("Read the {{what}} from\n{{input}}\nas a number.").messages(sample)
    assert message["content"] == [
        {"type": "text", "text": "Read the total from"},
        picture,
        {"type": "text", "text": "as a number."},
    ]
    assert prompt("{{ input }}").messages(sample) == sample.input


def test_a_message_whose_content_is_text_may_stand_in_a_template():
    """A conversation of one message is that message."""
    sample = Sample("a", [{"role": "user", "content": "hello"}])
    [message] = prompt("Say: {{input}}").messages(sample)
    assert [part["text"] for part in message["content"]] == ["Say:", "hello"]


def test_a_conversation_cannot_stand_inside_other_text():
    """Several messages are asked as they are, or not at all."""
    talk = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "?"},
    ]
    assert prompt("{{input}}").messages(Sample("a", talk)) == talk
    message = told("Answer: {{input}}", Sample("a", talk))
    assert "is a conversation" in message
    assert "`system:`" in message


def test_the_same_prompt_has_the_same_version_and_any_change_another():
    """A version is a hash of content: no clock, no counter."""
    first = Prompt(template=Template("{{input}}"), variables={"a": 1, "b": 2})
    assert first.version == Prompt(template=Template("{{input}}"), variables={"b": 2, "a": 1}).version
    others = [
        Prompt(template=Template("{{input}} "), variables={"a": 1, "b": 2}),
        Prompt(template=Template("{{input}}"), variables={"a": 1, "b": 3}),
        Prompt(template=Template("{{input}}"), system=NO_SYSTEM, variables={"a": 1, "b": 2}),
    ]
    assert len({first.version, *(each.version for each in others)}) == 4


VARIED = prompt(
    "{{input}}",
    variants={
        "terse": Variant(template=Template("{{input}} Be brief."), system=NO_SYSTEM, models=("small/*",)),
        "stepwise": Variant(template=Template("{{input}} Think first."), system=NO_SYSTEM),
    },
)


def test_in_fair_mode_every_model_is_asked_the_same():
    """Variants written for a model do not count then, and the label says so."""
    sample = Sample("a", "x")
    assert VARIED.messages(sample, "small/one") == VARIED.messages(sample, "big/one")
    assert VARIED.label("small/one") == VARIED.label("big/one")
    assert (VARIED.label("small/one").mode, VARIED.label("small/one").variant) == ("fair", "base")


def optimized(**best) -> Prompt:
    """The varied prompt in optimized mode."""
    return Prompt(**{**{name: getattr(VARIED, name) for name in Prompt.__slots__}, "mode": "optimized", "best": best})


def test_in_optimized_mode_a_model_is_asked_by_the_variant_written_for_it():
    """Without results that tell more; and each label tells which prompt it was."""
    small, big = (optimized().label(model) for model in ("small/one", "big/one"))
    assert (small.variant, big.variant) == ("terse", "base")
    assert small.version != big.version == VARIED.label("big/one").version
    assert optimized().messages(Sample("a", "x"), "small/one")[0]["content"] == "x Be brief."


def test_stored_results_outrank_what_a_variant_was_written_for():
    """A variant that no longer suits the model is not taken from them."""
    told_best = {"small/one": ("stepwise", "best by far"), "big/one": ("terse", "it was once")}
    found = optimized(**told_best)
    assert (found.label("small/one").variant, found.label("small/one").reason) == ("stepwise", "best by far")
    assert found.label("big/one").variant == "base"


def test_one_variant_can_be_named_for_all_models():
    """Its label carries its own name, and its version is that of the variant in optimized mode."""
    terse = VARIED.named("terse")
    assert terse.messages(Sample("a", "x"), "big/one")[0]["content"] == "x Be brief."
    assert terse.label("big/one").variant == "terse"
    assert terse.label("").version == optimized().label("small/one").version
    with pytest.raises(UsageError, match="did you mean 'terse'"):
        VARIED.named("ters")
