"""The quality profile: questions asked, replies scored at once, a degradation flagged and noise not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gguf_samples import LLAMA, gguf
from quality_samples import answering, question_file
from served_sessions import session_in, stored
from stands import measured

from pytest_llmbench import questions
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import InfraError, UsageError
from pytest_llmbench.profiles.quality import QualityLoad, drive
from pytest_llmbench.questions import Item
from pytest_llmbench.records import Measurement, ModelFile, ServerSpec

SMALL, LARGE = "lab/m-Q4_0", "lab/m-Q8_0"


def sums(folder: Path, count: int = 30) -> tuple[str, tuple[Item, ...]]:
    """A question file and its items."""
    file = str(question_file(folder, count))
    return file, questions.load(file).items


def measured_at(folder: Path, script: Any, *models: str, **choices: Any) -> list[Measurement]:
    """The quality of each model of a scripted provider, one after another in one run."""
    with DemoProvider(script) as provider, session_at(folder, provider.url) as session:
        return [measured(session, model, "quality", **choices) for model in models]


def session_at(folder: Path, url: str, **options: str) -> Any:
    (folder / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{url}'}}\n")
    return session_in(folder, **options)


def test_a_model_that_lost_known_items_is_flagged(tmp_path: Path) -> None:
    """Exactly the items that the script gets wrong are lost, and no others; the reference is found by itself."""
    file, items = sums(tmp_path)
    lost = {"sum-2", "sum-3", "sum-5", "sum-8", "sum-13", "sum-21", "sum-22", "sum-30"}
    script = answering(items, {"m-Q8_0": {"sum-1"}, "m-Q4_0": {"sum-1", *lost}})
    large, small = measured_at(tmp_path, script, LARGE, SMALL, questions=file)
    assert large.scalars["accuracy"] == pytest.approx(29 / 30)
    assert "degraded" not in large.scalars
    assert small.scalars["degraded"] == 1
    assert small.scalars["accuracy_change"] == pytest.approx(-8 / 30)
    assert "significantly worse against lab/m-Q8_0" in small.sentence
    changed = next(table for table in small.tables if table.name == "changed_answers")
    assert {row[0] for row in changed.rows} == lost
    assert {row[2] for row in changed.rows} == {"lost"}


def test_a_model_that_lost_a_few_is_not_flagged(tmp_path: Path) -> None:
    """Four of 30 lost and one won may be chance, and what would not have been is told."""
    file, items = sums(tmp_path)
    script = answering(items, {"m-Q8_0": {"sum-1"}, "m-Q4_0": {"sum-2", "sum-3", "sum-4", "sum-5"}})
    _, small = measured_at(tmp_path, script, LARGE, SMALL, questions=file)
    assert small.scalars["degraded"] == 0
    assert "no difference detectable (4 lost and 1 won of 30, smallest detectable change" in small.sentence


def test_each_item_is_asked_once_as_it_is(tmp_path: Path) -> None:
    """At temperature 0, with nothing put before the question, and ended by the model itself."""
    file, items = sums(tmp_path, 4)
    with DemoProvider(answering(items, {})) as provider, session_at(tmp_path, provider.url) as session:
        got = measured(session, SMALL, "quality", questions=file, output_tokens=32)
        bodies = [call.body for call in provider.chats()]
    assert [body["messages"] for body in bodies] == [[{"role": "user", "content": item.prompt}] for item in items]
    assert {(body["temperature"], body["max_tokens"], "ignore_eos" in body) for body in bodies} == {(0.0, 32, False)}
    assert [(r.labels["item"], r.metrics["correct"]) for r in got.counted] == [(item.id, 1.0) for item in items]
    assert "the server is no llama.cpp server" in " ".join(got.notes)


def test_repeats_are_asked_and_count_as_one_item(tmp_path: Path) -> None:
    """Each item three times, the accuracy over four items."""
    file, items = sums(tmp_path, 4)
    (got,) = measured_at(tmp_path, answering(items, {"m-Q4_0": {"sum-1"}}), SMALL, questions=file, repeats=3)
    assert len(got.counted) == 12
    assert "75 % of 4 questions" in got.sentence


def test_a_subset_is_the_same_every_time_and_of_all_categories(tmp_path: Path) -> None:
    """What the demo form asks is the same from run to run, so that runs can be compared."""
    file, items = sums(tmp_path)
    script = answering(items, {})
    (first,) = measured_at(tmp_path, script, SMALL, questions=file, items=6)
    (second,) = measured_at(tmp_path, script, SMALL, questions=file, items=6)
    asked = [[r.labels["item"] for r in m.counted] for m in (first, second)]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 6
    assert {r.labels["category"] for r in first.counted} == {"small", "large"}


def test_a_cut_off_reply_is_said(tmp_path: Path) -> None:
    """It is wrong for want of an answer; the note says where to look."""
    file, _ = sums(tmp_path, 3)
    long = Answer("Let me think about this sum for a long time before I say anything at all.")
    (got,) = measured_at(tmp_path, long, SMALL, questions=file, output_tokens=4)
    assert got.scalars["accuracy"] == 0
    assert "3 replies were cut off at 4 tokens: give more output_tokens" in got.notes


def test_a_model_that_was_never_taught_to_answer_is_said_to_be_one(tmp_path: Path) -> None:
    """Of a base model, 0 % with all replies cut off says that it goes on writing, not that it knows nothing."""
    said = {}
    for template in ("", "{{ messages }}"):
        file = tmp_path / f"m{len(template)}.gguf"
        file.write_bytes(gguf({**LLAMA, **({"tokenizer.chat_template": template} if template else {})}))
        spec, notes = ServerSpec(ModelFile(file.stem, str(file), "", 0, "path")), list[str]()
        stand: Any = SimpleNamespace(spec=spec, note=notes.append, done=range(3))
        assert list(drive(stand, QualityLoad(items=3, logprob_text=""))) == []
        said[template] = " ".join(notes)
    assert "no chat template" in said[""]
    assert "its right answers say little" in said[""]
    assert said["{{ messages }}"] == ""


def test_what_cannot_be_scored_is_unscored_and_never_zero(tmp_path: Path) -> None:
    """Code is not run: such items have no `correct` and no part of the accuracy."""
    rows = [
        {"id": "code-1", "prompt": "Write a function.", "answer": "def f(): pass", "check": "code"},
        {"id": "sum-1", "prompt": "What is 1 + 1?", "answer": "2", "check": "number"},
    ]
    file = tmp_path / "mixed.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (got,) = measured_at(tmp_path, Answer("2"), SMALL, questions=str(file))
    assert [r.metrics.get("correct") for r in got.counted] == [None, 1.0]
    assert got.scalars["accuracy"] == 1.0
    assert any(note.startswith("1 replies could not be scored and count neither way: ") for note in got.notes)


def test_an_item_that_is_too_long_for_the_server_is_unscored(tmp_path: Path) -> None:
    """The others are asked all the same; an item nobody answered is not answered wrongly."""
    file, items = sums(tmp_path, 4)
    answer = answering(items, {})

    def script(body: Any) -> Answer | Failure:
        if body["messages"][-1]["content"] == items[1].prompt:
            return Failure(400, "the request exceeds the available context size", type="exceed_context_size_error")
        return answer(body)

    (got,) = measured_at(tmp_path, script, SMALL, questions=file)
    assert [r.labels.get("unscored") for r in got.counted] == [None, "context_length", None, None]
    assert got.scalars["accuracy"] == 1.0


def test_a_server_that_fails_is_an_infra_error_and_no_wrong_answer(tmp_path: Path) -> None:
    """And on a resume only the items that were not answered are asked."""
    file, items = sums(tmp_path, 6)
    answer, calls = answering(items, {}), []

    def script(body: Any) -> Answer | Failure:
        calls.append(body["messages"][-1]["content"])
        return Failure(500, "out of order") if len(calls) == 4 else answer(body)

    with DemoProvider(script) as provider:
        with session_at(tmp_path, provider.url) as session:
            with pytest.raises(InfraError, match="out of order"):
                measured(session, SMALL, "quality", questions=file)
            run_id = session.run_id
        with session_at(tmp_path, provider.url, resume=run_id) as session:
            got = measured(session, SMALL, "quality", questions=file)
    assert calls == [item.prompt for item in (*items[:4], *items[3:])]
    assert got.scalars["accuracy"] == 1.0
    assert [r.labels["item"] for r in got.counted] == [item.id for item in items]


def test_pieces_of_replies_are_not_stored_where_texts_are_not_kept(tmp_path: Path) -> None:
    """Neither the reply nor the answer that was read off it."""
    file, _ = sums(tmp_path, 3)
    with (
        DemoProvider(Answer("canary91")) as provider,
        session_at(tmp_path, provider.url, keep_prompts="false") as session,
    ):
        measured(session, SMALL, "quality", questions=file, logprob_text="secret7")
        (kept,) = stored(session).measurements
    assert [dict(r.labels).keys() & {"extracted", "reason"} for r in kept.counted] == [set()] * 3
    written = b"".join(p.read_bytes() for p in (tmp_path / ".llmbench").rglob("*") if p.is_file())
    assert b"canary91" not in written
    assert b"secret7" not in written


def test_an_edited_question_file_is_another_load(tmp_path: Path) -> None:
    """Known by its questions; a copy under another name is the same load."""
    file, _ = sums(tmp_path)
    before = QualityLoad(questions=file).settings()["questions_sha256"]
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(file).read_bytes())
    assert QualityLoad(questions=str(copy)).settings()["questions_sha256"] == before
    copy.write_text(copy.read_text().replace("What is 3 + 3?", "How much is 3 + 3?"))
    assert QualityLoad(questions=str(copy)).settings()["questions_sha256"] != before
    assert QualityLoad(questions=file, items=5).settings()["questions_sha256"] != before


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"repeats": 0}, "repeats is at least 1, not 0"),
        ({"items": 0}, "items is at least 1, not 0"),
        ({"output_tokens": -1}, "output_tokens is at least 1"),
        ({"questions": "nowhere.jsonl"}, "no question file nowhere.jsonl"),
        ({"repeats": 400_000}, "too many requests"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choices: dict[str, Any], said: str) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match=said):
        QualityLoad(**choices).settings()
