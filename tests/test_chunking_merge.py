"""The answers to a sample's chunks become one answer, which tells what all of it used and cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from asking import model_of
from served_sessions import session_in

from pytest_llmbench.chunking import Chunking, Count, Fit, Merged, Room, counter_for, fit, merged
from pytest_llmbench.chunking.accounts import as_one
from pytest_llmbench.chunking.merging import joined
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Cost, Reply, Sample, Timing, Usage
from pytest_llmbench.serving import local_model


class Words:
    """Each word is a token."""

    by = "its words"
    exact = True

    def count(self, text: str) -> Count:
        return Count(len(text.split()), exact=True, by=self.by)

    def ends(self, text: str) -> list[int]:
        ends, at = [], 0
        for word in text.split():
            at = text.index(word, at) + len(word)
            ends.append(at)
        return ends


def messages(sample: Sample) -> list[dict[str, Any]]:
    """A prompt with a task around the text."""
    return [{"role": "user", "content": f"List the animals.\n\n{sample.input}"}]


ANIMALS = ["cat", "dog", "cow", "hen", "fox", "owl"]
FARM = Sample("farm", "\n\n".join(f"There is a {each} " + "indeed " * 50 for each in ANIMALS))
SMALL = Room("lab/m", 260)


def animals(body: dict[str, Any]) -> Answer:
    """Those that it was told of, each as often as it was."""
    text = str(body["messages"][-1]["content"])
    return Answer(" ".join(word for word in text.split() if word in ANIMALS), cost_usd=0.001)


def told(merge: str, provider: DemoProvider, room: Room = SMALL, **options: Any) -> tuple[Fit, Merged]:
    """The farm, asked in pieces."""
    chunking = Chunking(merge=merge, **options)
    found = fit(FARM, chunking, messages, room, Words())
    model = model_of(provider)
    return found, merged(FARM, found, chunking, messages=messages, ask=model.ask_all, counter=Words())


def prompts(provider: DemoProvider) -> list[str]:
    """What was asked, in any order of arrival."""
    return [call.body["messages"][-1]["content"] for call in provider.log]


def test_all_chunks_are_asked_and_their_answers_put_together():
    """By one more question, which the same prompt asks, with the answers where the text stood."""
    with DemoProvider(animals) as provider:
        found, whole = told("map-reduce", provider)
        asked = prompts(provider)
    assert len(found.chunks) == 2
    assert whole.reply.text == "cat dog cow hen fox owl"
    assert len(whole.calls) == len(asked) == 3
    assert asked[-1].startswith("List the animals.\n\nThe text was too long to be read at once.")
    assert "### Answer to part 1 of 2\ncat dog cow\n\n### Answer to part 2 of 2\nhen fox owl" in asked[-1]


def test_what_all_calls_used_and_cost_is_summed():
    """The reply is of no call of its own: no id, no time to first token, and a hash of all requests."""
    with DemoProvider(animals) as provider:
        _, whole = told("map-reduce", provider)
    calls = whole.calls
    assert whole.reply.usage.prompt_tokens == sum(call.usage.prompt_tokens or 0 for call in calls) > 320
    assert whole.reply.usage.completion_tokens == 12
    assert whole.reply.usage.billed_usd == "0.003"
    assert whole.reply.timing == Timing(e2e_s=sum(call.timing.e2e_s or 0 for call in calls))
    assert whole.reply.attempts == 3
    assert whole.reply.request_hash not in {call.request_hash for call in calls}
    assert whole.reply.served_model == calls[-1].served_model
    assert Reply.from_dict(whole.reply.as_dict()) == whole.reply


def test_answers_that_do_not_fit_together_are_merged_in_rounds():
    """As many at once as there is room for; nothing is lost on the way, and the number of questions is bounded."""

    def long_winded(body: dict[str, Any]) -> Answer:
        names = dict.fromkeys(word for word in str(body["messages"][-1]["content"]).split() if word in ANIMALS)
        return Answer(" ".join([*names, *["indeed"] * 25]))

    with DemoProvider(long_winded) as provider:
        found, whole = told("map-reduce", provider, Room("lab/m", 180), size=55)
    assert len(found.chunks) == 6
    assert set(whole.reply.text.split()) == {*ANIMALS, "indeed"}
    assert 8 <= len(whole.calls) <= 11


def test_answers_that_can_never_be_merged_are_told():
    """Where two of them are more than the context leaves; nothing is cut off silently."""
    with (
        DemoProvider(Answer("word " * 200)) as provider,
        pytest.raises(InfraError, match=r"answers to the 2 chunks of the sample 'farm' cannot be merged: 4\d\d tokens"),
    ):
        told("map-reduce", provider)


def test_that_answers_do_not_fit_is_an_error_of_the_context():
    """Of its own category, as where a server says so."""
    with DemoProvider(Answer("word " * 200)) as provider, pytest.raises(InfraError) as failed:
        told("refine", provider)
    assert failed.value.category == Category.CONTEXT_LENGTH


def test_refining_asks_chunk_after_chunk_with_the_answer_so_far():
    """The last answer is the answer."""
    with DemoProvider(animals) as provider:
        found, whole = told("refine", provider, Room("lab/m", 300))
        asked = prompts(provider)
    assert len(found.chunks) == 6 == len(asked)
    assert whole.reply.text == "cat dog cow hen fox owl"
    assert "### The answer so far\ncat dog\n\n### Part 3 of 6\nThere is a cow" in asked[2]
    assert "The text is too long to be read at once" not in asked[0]


def test_concatenating_asks_nothing_more():
    """Answers stand after each other in the order of the text."""
    with DemoProvider(animals) as provider:
        found, whole = told("concat", provider)
    assert len(whole.calls) == len(found.chunks) == 2
    assert whole.reply.text == "cat dog cow\n\nhen fox owl"


def test_json_lists_become_one_list():
    """In a fence or not; where one answer is no list they stay texts."""
    assert json.loads(joined(['[{"a": 1}]', '```json\n[{"ä": 2}, 3]\n```', "[]"])) == [{"a": 1}, {"ä": 2}, 3]
    assert joined(["[1]", "no list"]) == "[1]\n\nno list"
    assert joined(["[" * 100_000, " x "]) == "[" * 100_000 + "\n\nx"


def test_a_sample_that_fits_is_asked_once_and_its_reply_is_the_call():
    """Chunking changes nothing for it."""
    short = Sample("short", "There is a cat.")
    with DemoProvider(animals) as provider:
        model = model_of(provider)
        whole = merged(short, Fit(), Chunking(), messages=messages, ask=model.ask_all, counter=Words())
        assert len(provider.log) == 1
    assert whole.reply is whole.calls[0]


def test_instructions_of_the_use_case_stand_in_place_of_ours():
    """They say how answers are merged."""
    with DemoProvider(animals) as provider:
        told("map-reduce", provider, instructions="Count each animal once.")
        assert prompts(provider)[-1].startswith("List the animals.\n\nCount each animal once.\n\n### Answer to part 1")


def test_time_stamps_of_a_chunk_are_told_to_whoever_merges():
    """So that an answer can say when."""
    cues = "\n".join(f"[00:{minute:02}:00] There is a {ANIMALS[minute % 6]} " + "indeed " * 30 for minute in range(12))
    talk = Sample("talk", cues)
    chunking = Chunking(by="timestamp")
    with DemoProvider(animals) as provider:
        found = fit(talk, chunking, messages, SMALL, Words())
        merged(talk, found, chunking, messages=messages, ask=model_of(provider).ask_all, counter=Words())
        last = prompts(provider)[-1]
    assert "### Answer to part 1 of 3, from 00:00:00 to 00:04:00\n" in last
    assert "### Answer to part 3 of 3, from 00:10:00 to 00:11:00\n" in last


def reply(**fields: Any) -> Reply:
    """One of several calls."""
    return Reply(**{"text": "x", "model": "lab/m", "request_hash": "h", "finish_reason": "stop", **fields})


def summed(*calls: Reply) -> Reply:
    """The calls as one."""
    return as_one(calls, "merged")


def test_what_is_not_known_of_one_call_is_not_known_of_all():
    """Never 0: neither tokens, nor times, nor cost."""
    known = reply(usage=Usage(prompt_tokens=5, completion_tokens=1), cost=Cost("0.5", "priced"), timing=Timing(e2e_s=1))
    whole = summed(known, reply())
    assert whole.usage == Usage()
    assert whole.cost == Cost()
    assert whole.timing == Timing()


@pytest.mark.parametrize(
    ("costs", "whole"),
    [
        ([Cost("0", "free"), Cost("0", "free")], Cost("0", "free")),
        ([Cost("0.1", "priced"), Cost("0.2", "priced")], Cost("0.3", "priced")),
        ([Cost("0.1", "billed"), Cost("0.0000001", "priced")], Cost("0.1000001", "priced")),
        ([Cost("0.1", "replayed"), Cost("0.2", "replayed")], Cost("0.3", "replayed")),
        ([Cost("0.1", "billed"), Cost()], Cost()),
    ],
)
def test_costs_are_added_as_decimals(costs: Sequence[Cost], whole: Cost):
    """And an unknown one makes all unknown."""
    assert summed(*(reply(cost=cost) for cost in costs)).cost == whole


def test_an_answer_of_which_a_part_was_cut_off_is_cut_off():
    """Though the last call ended by itself."""
    assert summed(reply(finish_reason="length"), reply()).finish_reason == "length"
    assert summed(reply(), reply()).finish_reason == "stop"


def test_an_estimated_count_makes_the_sum_an_estimate():
    """Marked as one."""
    counted = Usage(prompt_tokens=1, completion_tokens=1)
    estimated = Usage(prompt_tokens=2, completion_tokens=2, estimated=True)
    assert summed(reply(usage=counted), reply(usage=estimated)).usage == Usage(
        prompt_tokens=3, completion_tokens=3, estimated=True
    )


@pytest.mark.slow
@pytest.mark.usefixtures("smollm2")
def test_a_text_of_three_contexts_is_summarised_by_a_real_model(tmp_path):
    """Each question fits by the server's own count, so that none is refused; the reply tells what all of them used."""
    story = "\n\n".join(
        f"Day {day}. The ship went on to the north, and the crew saw {day} whales." for day in range(70)
    )
    sample = Sample("log", story)
    with session_in(tmp_path) as session:
        model = local_model(session, "smollm2-135m:Q4_1")
        counter = counter_for(server=model.endpoint)
        found = fit(sample, Chunking(overlap=20), messages, Room(model.name, 512, 40), counter)

        def ask(conversations: Sequence[Any]) -> list[Reply]:
            return model.ask_all(conversations, max_tokens=40)

        whole = merged(sample, found, Chunking(), messages=messages, ask=ask, counter=counter)
    assert counter.exact
    assert len(found.chunks) >= 4
    assert all(0 < (call.usage.prompt_tokens or 0) <= int(0.8 * 512) for call in whole.calls)
    assert max(call.usage.prompt_tokens or 0 for call in whole.calls) > 0.7 * 512
    assert whole.reply.usage.prompt_tokens == sum(call.usage.prompt_tokens or 0 for call in whole.calls)
    assert whole.reply.text
