"""The batch as it runs: its documents, its order, its passes, and going on after an interruption."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from served_sessions import session_in, stored
from stands import measured, of_provider, stand_at

from pytest_llmbench.bench.stand import Stand
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles.batch import BATCH, TASK, BatchLoad, drive, needs
from pytest_llmbench.profiles.batch_documents import documents, shipped, shuffled
from pytest_llmbench.records import ModelFile

PACED = Answer("word " * 6, itl_s=0.01)
TEXTS = ("The first letter.", "The second letter.", "The third letter.")


def folder_of(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "letters"
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_thirty_varied_documents_are_shipped() -> None:
    """Different in length, none of them the beginning of another, small enough for a package."""
    texts = [document.text for document in shipped()]
    assert len(texts) == len(set(texts)) == len({document.name for document in shipped()}) == 30
    words = [len(text.split()) for text in texts]
    assert min(words) > 50
    assert max(words) < 300
    assert max(words) > 2 * min(words)
    assert sum(len(text.encode()) for text in texts) < 40_000


def test_a_folder_gives_its_text_and_markdown_files(tmp_path: Path) -> None:
    """By name; other files and folders are left alone, a byte order mark is none of the text."""
    folder = folder_of(tmp_path, b_md="# B", a_txt="\ufeffA", c_pdf="C")
    (folder / "deeper").mkdir()
    assert [(each.name, each.text) for each in documents(str(folder))] == [("a.txt", "A"), ("b.md", "# B")]


@pytest.mark.parametrize(
    ("files", "said"), [({}, "no .txt or .md file in"), ({"a_txt": "  \n"}, "is empty"), ({"a_pdf": "x"}, "no .txt")]
)
def test_a_folder_without_a_usable_document_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """Before anything runs, with its path."""
    with pytest.raises(UsageError, match=said):
        BatchLoad(source=str(folder_of(tmp_path, **files)))


def test_a_folder_that_is_not_there_and_a_file_that_is_no_text_are_refused(tmp_path: Path) -> None:
    """The error says where, and what is expected."""
    with pytest.raises(UsageError, match=r"cannot read the folder of documents .*nowhere"):
        BatchLoad(source=str(tmp_path / "nowhere"))
    folder = folder_of(tmp_path)
    (folder / "a.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UsageError, match=r"cannot read the document .*a\.txt"):
        BatchLoad(source=str(folder))


def test_the_order_is_the_same_every_time_and_not_that_of_the_names() -> None:
    """In the order of names lengths may rise; each document comes once before any comes twice."""
    once, again = (shuffled(shipped(), 30) for _ in range(2))
    assert once == again != shipped()
    assert Counter(document.name for document in once) == dict.fromkeys((d.name for d in shipped()), 1)
    assert set(Counter(document.name for document in shuffled(shipped(), 60)).values()) == {2}
    assert shuffled(shipped(), 6) == once[:6]


def test_what_the_documents_say_makes_two_batches_different() -> None:
    """Where they came from does not; the texts themselves are not in the settings."""
    one, same, other = (BatchLoad(source=texts).settings() for texts in (TEXTS, TEXTS, (*TEXTS[:2], "Another.")))
    assert one == same
    assert one["source"] != other["source"]
    assert "letter" not in str(one)
    assert one["documents"] == 3


def test_a_server_of_ours_gets_a_context_for_the_longest_document() -> None:
    """With room for the task and the answer; a heap of short ones needs little."""
    assert needs(BatchLoad(source=("word " * 5000,)))["context"] > 5000
    assert needs(BatchLoad())["context"] <= 1280
    assert BATCH.needs is needs


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"documents": 0}, "documents is at least 1"),
        ({"output_tokens": 0}, "output_tokens is at least 1"),
        ({"slots": ()}, "slots are numbers from 1 on"),
        ({"slots": (0, 4)}, "slots are numbers from 1 on"),
        ({"task": " "}, "task a text"),
        ({"source": ("", "x")}, "document 1 of the batch is empty"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choices: dict[str, object], said: str) -> None:
    """Before anything runs."""
    with pytest.raises(UsageError, match=said):
        BatchLoad(**choices)  # type: ignore[arg-type]


def test_each_document_is_worked_on_once_in_each_pass(tmp_path: Path) -> None:
    """With the task before it; first one by one, then several at once."""
    load = BatchLoad(source=TEXTS, slots=(3, 1), output_tokens=6)
    with stand_at(tmp_path, lambda _: PACED) as stand:
        done = [timed.repetition for timed in drive(stand, load)]
    assert sorted((int(r.labels["slots"]), int(r.labels["document"])) for r in done) == [
        (slots, document) for slots in (1, 3) for document in (1, 2, 3)
    ]
    assert sorted(r.index for r in done) == list(range(6))
    assert all(TASK in r.prompt and TEXTS[int(r.labels["document"]) - 1] in r.prompt for r in done)
    alone, together = ([r for r in done if r.labels["slots"] == slots] for slots in (1, 3))
    ends = [(r.at_s or 0) + r.metrics["e2e_s"] for r in alone]
    assert all((r.at_s or 0) >= end for r, end in zip(alone[1:], ends, strict=False))
    assert max(r.at_s or 0 for r in together) < min((r.at_s or 0) + r.metrics["e2e_s"] for r in together)
    assert ["s_per_document" in r.metrics for r in done].count(True) == 3


def test_somebody_elses_server_is_asked_as_it_is_and_said_to_be(tmp_path: Path) -> None:
    """We cannot choose its slots, and do not pretend to."""
    with DemoProvider(lambda _: PACED) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            result = measured(session, name, "batch", documents=4, slots=(1, 2), output_tokens=6)
    assert any("the server is not ours: 2 requests were sent at once" in note for note in result.notes)
    assert result.s_per_document.n == 4
    assert result.documents_per_hour.values[0] > 0
    assert result.speedup.n == 1
    assert result.rating


def test_an_interrupted_batch_goes_on_at_the_document_that_is_missing(tmp_path: Path) -> None:
    """Nothing is asked twice, what was done stays, and the pause is no part of any time."""
    with DemoProvider(lambda _: PACED) as provider:
        name = of_provider(tmp_path, provider.url)
        choices = {"source": list(TEXTS), "documents": 8, "slots": [1], "output_tokens": 6, "warmup": 0}
        with session_in(tmp_path, retakes="0") as session:
            run_id = session.run_id
            _interrupt_after(3, lambda: measured(session, name, "batch", **choices))
            assert len(stored(session).measurements[0].repetitions) == 3
        with session_in(tmp_path, resume=run_id, retakes="0") as session:
            result = measured(session, name, "batch", **choices)
        asked = [call.body["messages"][0]["content"].split("] ", 1)[1] for call in provider.chats()]
    assert len(asked) == 8
    assert [r.labels["part"] for r in result.counted] == [1, 1, 1, 2, 2, 2, 2, 2]
    assert result.documents_per_hour.values[0] == pytest.approx(
        3600 * 8 / sum(r.metrics["e2e_s"] for r in result.counted)
    )


def _interrupt_after(count: int, measure: object) -> None:
    """Ctrl-C before the request after `count`."""
    ask, asked = Stand.ask, iter(range(count))

    def asking(stand: Stand, planned: object) -> object:
        if next(asked, None) is None:
            raise KeyboardInterrupt
        return ask(stand, planned)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stand, "ask", asking)
        with pytest.raises(KeyboardInterrupt):
            measure()  # type: ignore[operator]


def test_a_batch_on_a_real_model_uses_as_many_slots_as_it_says(smollm2: ModelFile, tmp_path: Path) -> None:
    """Two servers, one with a slot and one with two, each with a context for the longest document."""
    with session_in(tmp_path, retakes="0") as session:
        result = measured(
            session, smollm2.name, "batch", source=[*TEXTS, "word " * 200], slots=[1, 2], output_tokens=6, warmup=0
        )
    assert {r.labels["slots"] for r in result.counted} == {1, 2}
    assert result.server["slots"] == 2
    longest = max((r.usage.prompt_tokens or 0) + 6 for r in result.counted)
    assert result.server["context"] >= longest
    assert result.server["context"] > 512  # the session's own, too small for the longest document
    assert result.server["earlier"]
    assert {r.usage.completion_tokens for r in result.counted} == {6}
    table = next(table for table in result.tables if table.name == "slots")
    assert [row[:2] for row in table.rows] == [(1, 4), (2, 4)]
    assert "documents an hour" in result.sentence
