"""Cassettes: recorded replies given instead of asking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench import redaction
from pytest_llmbench.asker import cassette
from pytest_llmbench.asker.cassette import Cassette
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.recording import Recording
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.config import Resolved, resolve
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.records import Cost, Reply, Target, Timing, Usage

KEY = "hush-4711-not-for-anybody-else"


def a_question(
    prompt: str = "What is 2 + 2?", *, test: str = "test_a", model: str = "lab/mini", **more: object
) -> Question:
    request = ChatRequest(model, ({"role": "user", "content": prompt},), **more)  # type: ignore[arg-type]
    target = Target(model, "lab", "mini", "openai", "https://lab.example")
    return Question(target, request, test, "0" * 64)


def a_reply(text: str = "4", *, usd: str = "0.0012") -> Reply:
    return Reply(
        text,
        "lab/mini",
        served_model="mini-2026",
        reasoning="two and two",
        finish_reason="stop",
        usage=Usage(prompt_tokens=9, completion_tokens=0, cached_tokens=0),
        timing=Timing(ttft_s=0.25, e2e_s=0.5, gaps_s=(0.1,)),
        cost=Cost(usd, "billed"),
        streamed=True,
    )


def recorded(path: Path, *pairs: tuple[Question, Reply], keep_prompts: bool = True) -> Path:
    recording = Recording(path, keep_prompts=keep_prompts)
    for question, reply in pairs:
        recording.add(question, reply)
    recording.close()
    return path


def resolved(folder: Path, **options: str) -> Resolved:
    return resolve(options, {}, {}, folder)


def test_a_replayed_reply_is_the_recorded_one_and_costs_nothing(tmp_path: Path) -> None:
    """Text, reasoning, tokens (0 is not unknown) and times; what it had cost is known, and nothing of it is spent."""
    path = recorded(tmp_path / "c.jsonl", (a_question(), a_reply()))
    told = Cassette(path).reply(a_question())
    assert (told.text, told.reasoning, told.served_model, told.finish_reason) == (
        "4",
        "two and two",
        "mini-2026",
        "stop",
    )
    assert told.usage == Usage(prompt_tokens=9, completion_tokens=0, cached_tokens=0)
    assert (told.timing.ttft_s, told.timing.e2e_s, told.streamed, told.model) == (0.25, 0.5, True, "lab/mini")
    assert (told.cost, told.cost.spent) == (Cost("0.0012", "replayed"), 0)


def test_each_test_gets_its_own_reply_and_a_new_test_the_first_that_nobody_had(tmp_path: Path) -> None:
    """In whatever order they ask; once nothing is left it is a miss."""
    mine, yours = a_question(test="mine"), a_question(test="yours")
    path = recorded(tmp_path / "c.jsonl", (mine, a_reply("first")), (yours, a_reply("second")))
    replayed = Cassette(path)
    assert replayed.reply(yours).text == "second"
    assert replayed.reply(mine).text == "first"
    assert replayed.reply(mine).text == "first"
    with pytest.raises(InfraError, match="its 2 to this request were given already"):
        replayed.reply(a_question(test="renamed"))
    assert Cassette(path).reply(a_question(test="renamed")).text == "first"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (a_question("What is 3 + 3?"), "nothing was recorded for these messages"),
        (a_question(model="lab/maxi"), "these messages were recorded for lab/mini"),
        (a_question(max_tokens=7, seed=1), "recorded with max_tokens None, not 7, seed None, not 1"),
    ],
)
def test_a_miss_says_what_differs_and_asks_nobody(asked: Question, why: str, tmp_path: Path) -> None:
    """An infra error with a category of its own, and how to record what is missing."""
    path = recorded(tmp_path / "c.jsonl", (a_question(), a_reply()))
    with pytest.raises(InfraError, match=why) as caught:
        Cassette(path).reply(asked)
    assert caught.value.category == Category.CASSETTE_MISS
    assert f"--record {path} and" in caught.value.hint


def test_streaming_or_not_is_no_other_question(tmp_path: Path) -> None:
    """How an answer is transported does not decide it."""
    path = recorded(tmp_path / "c.jsonl", (a_question(stream=True), a_reply()))
    assert Cassette(path).reply(a_question(stream=False)).text == "4"


def test_recording_again_renews_what_the_cassette_holds(tmp_path: Path) -> None:
    """The last reply of a test stands, and the others of the file stay."""
    path = recorded(tmp_path / "c.jsonl", (a_question(), a_reply("old")), (a_question("x"), a_reply("kept")))
    recorded(path, (a_question(), a_reply("new")))
    assert [Cassette(path).reply(each).text for each in (a_question(), a_question("x"))] == ["new", "kept"]
    assert path.read_text().count('"format"') == 1


def test_a_line_whose_writer_was_killed_is_passed_over(tmp_path: Path) -> None:
    """Every whole line before and after it counts."""
    path = recorded(tmp_path / "c.jsonl", (a_question("a"), a_reply("A")), (a_question("b"), a_reply("B")))
    path.write_bytes(path.read_bytes()[:-40])
    assert not Cassette(path).holds(a_question("b"))
    recorded(path, (a_question("c"), a_reply("C")))
    replayed = Cassette(path)
    assert [replayed.reply(a_question(each)).text for each in "ac"] == ["A", "C"]
    assert not replayed.holds(a_question("b"))


def test_no_key_reaches_the_file_and_the_question_is_found_all_the_same(tmp_path: Path) -> None:
    """Registered ones, and what looks like one, in what was asked and answered; prompts only where they are kept."""
    redaction.register(KEY)
    looks = "sk-" + "a1" * 12
    asked = a_question(f"my key is {KEY}, the other {looks}")
    path = recorded(tmp_path / "c.jsonl", (asked, a_reply(f"you said {KEY} and {looks}")))
    text = path.read_text()
    assert KEY not in text
    assert looks not in text
    assert "my key is [redacted]" in text
    assert Cassette(path).reply(asked).text == "you said [redacted] and [redacted]"
    assert "my key is" not in recorded(tmp_path / "d.jsonl", (asked, a_reply()), keep_prompts=False).read_text()


def test_a_picture_does_not_swell_the_file(tmp_path: Path) -> None:
    """What was asked is there for readers; only its fingerprint decides."""
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 500_000}}]
    asked = Question(
        Target("lab/mini", "lab", "mini", "openai", "https://lab.example"),
        ChatRequest("lab/mini", ({"role": "user", "content": parts},)),
        "t",
        "0" * 64,
    )
    path = recorded(tmp_path / "c.jsonl", (asked, a_reply()))
    assert path.stat().st_size < 10_000
    assert Cassette(path).reply(asked).text == "4"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no cassette"),
        ('{"a": 1}\n', "is no cassette"),
        ("ID,name\n1,x\n", "is no cassette"),
        ('{"format": "pytest-llmbench cassette", "format_version": 99}\n', "has format 99"),
        ('{"format": "pytest-llmbench cassette", "format_version": 1}\nnonsense\n', r"c\.jsonl:2: .* is broken"),
        ('{"format": "pytest-llmbench cassette", "format_version": 1}\n{"key": "k"}\n', r"c\.jsonl:2: .* is broken"),
    ],
)
def test_a_file_that_is_no_cassette_is_refused_with_its_line(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        Cassette(path)


def test_another_kind_of_file_is_never_added_to(tmp_path: Path) -> None:
    """A typing mistake must not spoil somebody's data."""
    path = tmp_path / "data.csv"
    path.write_text("ID,name\n1,x\n")
    with pytest.raises(UsageError, match="is no cassette"):
        Recording(path)
    assert path.read_text() == "ID,name\n1,x\n"


def test_both_flags_and_a_missing_cassette_are_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--record and --replay at once"):
        cassette.check(resolved(tmp_path, record="a.jsonl", replay="b.jsonl"))
    with pytest.raises(UsageError, match="there is no cassette"):
        cassette.check(resolved(tmp_path, replay=str(tmp_path / "none.jsonl")))
    assert cassette.opened(resolved(tmp_path)) == (None, None)


def test_a_closed_recording_can_be_closed_again(tmp_path: Path) -> None:
    """The asker's end may come twice."""
    recording = Recording(tmp_path / "c.jsonl")
    recording.close()
    recording.close()
    assert json.loads((tmp_path / "c.jsonl").read_text())["format_version"] == 1


@settings(deadline=None, max_examples=60)
@given(prompt=st.text(), answer=st.text(), test=st.text())
def test_whatever_is_asked_and_answered_comes_back(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, answer: str, test: str
) -> None:
    """Control characters, lone surrogates and line separators included."""
    path = recorded(tmp_path_factory.mktemp("c") / "c.jsonl", (a_question(prompt, test=test), a_reply(answer)))
    assert Cassette(path).reply(a_question(prompt, test=test)).text == answer
