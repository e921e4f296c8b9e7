"""The interactive profile: users' prompts, stop rules, resumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from long_profiles import measurement
from served_sessions import session_in
from stands import measured, of_provider

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles.interactive import InteractiveLoad, conclude, read_prompts
from pytest_llmbench.records import Measurement, Repetition, Timing, Usage


def run(folder: Path, script: object = None, *, resume: str = "", **choices: object) -> Measurement:
    with DemoProvider(script or Answer("one two three", itl_s=0.002)) as provider:
        of_provider(folder, provider.url)
        with session_in(folder, resume=resume) as session:
            return measured(session, "lab/m", "interactive", output_tokens=3, **choices)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.txt", "Why is the sky blue?\n\n  And the sea?  \n"),
        ("mine.jsonl", '"Why is the sky blue?"\n{"prompt": "And the sea?", "id": 2}\n'),
        ("bom.txt", "\ufeffWhy is the sky blue?\nAnd the sea?"),
    ],
)
def test_prompts_come_from_a_file(tmp_path: Path, name: str, content: str) -> None:
    """One a line, as text or as JSON."""
    path = tmp_path / name
    path.write_text(content)
    assert read_prompts(path) == ("Why is the sky blue?", "And the sea?")
    assert InteractiveLoad(prompts=str(path)) == InteractiveLoad(prompts=("Why is the sky blue?", "And the sea?"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '"fine"\n{"text": 1}\n', ':2: neither a text nor an object with a text under "prompt"'),
        ("a.jsonl", '"fine"\n{', ":2: no JSON"),
        ("a.txt", "\n \n", "prompts must be at least one text"),
    ],
)
def test_a_file_without_prompts_says_where_and_why(tmp_path: Path, name: str, content: str, message: str) -> None:
    """Before anything is sent."""
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=message):
        InteractiveLoad(prompts=str(tmp_path / name))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what it should hold."""
    with pytest.raises(UsageError, match="cannot read the prompts in") as caught:
        InteractiveLoad(prompts=str(tmp_path / "none.txt"))
    assert caught.value.hint == "it has one prompt a line"


@pytest.mark.parametrize("choices", [{"rounds": 0}, {"output_tokens": 0}, {"precision": 0.0}, {"cap_s": -1.0}])
def test_numbers_that_cannot_be_are_refused(choices: dict[str, float]) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError):
        InteractiveLoad(**choices)  # type: ignore[arg-type]


def test_rounds_end_early_once_the_median_is_known_well_enough(tmp_path: Path) -> None:
    """A provider of even speed needs ten repetitions, not two hundred; why it stopped is said."""
    found = run(tmp_path, rounds=100, prompts=["One.", "Two."], precision=2.0)
    assert 10 <= len(found.repetitions) < 200
    assert len(found.repetitions) % 2 == 0
    assert "stopped after round" in " ".join(found.notes)
    assert "95 % interval of the median" in " ".join(found.notes)


def test_a_time_cap_ends_the_rounds_and_what_was_measured_stands(tmp_path: Path) -> None:
    """At least one round; the note names the cap."""
    found = run(tmp_path, Answer("one two three", ttft_s=0.1), rounds=1000, prompts=["One."], cap_s=0.3)
    assert 1 <= len(found.repetitions) < 100
    assert "the time of 0.3 s was up" in " ".join(found.notes)


def test_without_a_rule_all_rounds_are_made(tmp_path: Path) -> None:
    """Rounds × prompts, in rounds."""
    found = run(tmp_path, rounds=3, prompts=["One.", "Two."])
    assert [(r.index, r.round) for r in found.repetitions] == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]
    assert found.itl_cv.n == 1


def test_answers_of_another_length_are_told(tmp_path: Path) -> None:
    """A server that stops early is measured, and the reader knows."""
    found = run(tmp_path, Answer("one two", itl_s=0.002), rounds=1, prompts=["One."])
    assert "asked for 3 output tokens, the server gave 2" in found.notes


def answered(count: int, *, tokens: int = 64, events: int = 64, gap_s: float = 0.01, tps: float = 100.0) -> Measurement:
    """Requests of one server, each of so many tokens in so many events."""
    timing = Timing(ttft_s=0.2, gaps_s=(gap_s,) * (events - 1))
    metrics = {"ttft_s": 0.2, "decode_tps": tps}
    each = [Repetition(i, 0, "", metrics, timing=timing, usage=Usage(30, tokens)) for i in range(count)]
    return measurement("interactive", each, {"output_tokens": tokens})


@pytest.mark.parametrize(("count", "said"), [(10, "(all within 200 ms, n = 10)"), (20, "(95 % within 200 ms, n = 20)")])
def test_a_share_of_few_requests_is_not_called_ninety_five_percent(count: int, said: str) -> None:
    """Of ten requests the nearest-rank 95th percentile is the slowest."""
    assert said in conclude(answered(count), ()).sentence


@pytest.mark.parametrize(("tps", "said"), [(139.4, "at 139 tokens/s"), (1.46, "at 1.46 "), (0.43, "at 0.43 ")])
def test_a_slow_model_is_not_said_to_stand_still(tps: float, said: str) -> None:
    """0.43 tokens/s are not 0."""
    assert said in conclude(answered(10, tps=tps), ()).sentence


def test_tokens_that_come_in_bursts_are_told_with_what_that_does_to_the_figures() -> None:
    """Eight events for 64 tokens: gaps are those of events, and the first eight tokens cost no time."""
    (note,) = conclude(answered(10, events=8), ()).notes
    assert "an event carried 8 tokens on average" in note
    assert "decode speed is up to 12% too high" in note  # 63 / 56
    (note,) = conclude(answered(10, gap_s=0.0), ()).notes
    assert note.startswith("100% of the events came in one piece with the one before")
    assert conclude(answered(10, events=62), ()).notes == ()
