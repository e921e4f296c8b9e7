"""Batch APIs and the response cache: what is found is not submitted, what comes back is found from then on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from served_sessions import session_in, stored

from pytest_llmbench import redaction
from pytest_llmbench.asker import batch_submit
from pytest_llmbench.asker.batch_questions import CACHE_KEY, written
from pytest_llmbench.asker.cached import cache_key_of
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import OverBudgetError, PendingError
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.records import Reply
from pytest_llmbench.session import Session

CONFIG = "providers:\n  lab: {{url: '{url}', models: {{m: {{price: {{input: 1000, output: 2000}}}}}}}}\n"
BATCH = {"batch": "true", "cache": "on"}


class Lab:
    """Numbers its answers; `refuses` this text, and has nothing to say to the `silent` one."""

    def __init__(self) -> None:
        self.refuses = self.silent = ""
        self.answers = 0

    def __call__(self, body: Mapping[str, Any]) -> Answer | Failure:
        text = str(body["messages"][-1]["content"])
        if text == self.refuses:
            return Failure(400, "no")
        if text == self.silent:
            return Answer("", completion_tokens=9, finish_reason="length")
        self.answers += 1
        return Answer(f"{text}, answer {self.answers}")


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def provider(lab: Lab, tmp_path: Path) -> Iterator[DemoProvider]:
    """A provider and a project that knows it."""
    with DemoProvider(lab) as provider:
        (tmp_path / "llmbench.yaml").write_text(CONFIG.format(url=provider.url))
        yield provider


def asked(session: Session, *texts: str, role: str = "subject") -> list[Question]:
    """One question a text, each by a test of its own."""
    target = session.target("lab/m")
    assert target is not None
    return [
        Question(
            target,
            ChatRequest("lab/m", ({"role": "user", "content": text},), max_tokens=9),
            f"test_it[{text[:9]}]",
            f"hash of {text[:9]}",
            role=role,
        )
        for text in texts
    ]


def through_batch(folder: Path, *texts: str, **options: str) -> list[Reply]:
    """A run that submits a batch, and the session that collects it."""
    options = {**BATCH, **options}
    with session_in(folder, **options) as session:
        with pytest.raises(PendingError):
            session.asker.get_all(asked(session, *texts))
        run_id = session.run_id
    with session_in(folder, resume=run_id, **options) as session:
        session.collect()
        return session.asker.get_all(asked(session, *texts))


def submitted(provider: DemoProvider) -> int:
    return sum((call.method, call.route) == ("POST", "/v1/batches") for call in provider.log)


def test_what_a_batch_brought_is_not_submitted_again(provider: DemoProvider, tmp_path: Path) -> None:
    """A later run has it at once, at no cost, with what it had cost: the price of batches."""
    first = through_batch(tmp_path, "a", "b")
    with session_in(tmp_path, **BATCH) as session:
        again = session.asker.get_all(asked(session, "a", "b"))
        assert [reply.id for reply in stored(session).replies] == [reply.id for reply in again]
        assert session.store.batches(session.run_id) == []
    assert submitted(provider) == 1
    assert [reply.text for reply in again] == [reply.text for reply in first] == ["a, answer 1", "b, answer 2"]
    assert {(reply.cost.source, reply.cost.spent, reply.attempts) for reply in again} == {("cached", 0, 0)}
    assert [reply.cost.usd for reply in again] == [reply.cost.usd for reply in first]
    assert again[0].cost.paid_at


def test_a_batch_and_who_asks_directly_share_what_they_have(provider: DemoProvider, tmp_path: Path) -> None:
    """One key for both ways: what one paid for the other finds, and only the rest goes out."""
    through_batch(tmp_path, "a")
    with session_in(tmp_path, cache="on") as session:
        assert session.asker.get(asked(session, "a")[0]).text == "a, answer 1"
        assert session.asker.get(asked(session, "b")[0]).text == "b, answer 2"
    assert len(provider.chats()) == 1
    with session_in(tmp_path, **BATCH) as session:
        with pytest.raises(PendingError):
            session.asker.get_all(asked(session, "a", "b", "c"))
        assert [reply.text for reply in stored(session).replies] == ["a, answer 1", "b, answer 2"]
        [batch] = session.store.batches(session.run_id)
        assert [told["test_key"] for told in batch.told] == ["test_it[c]"]
        # A test whose own reply is there goes on, whatever the others wait for.
        assert session.asker.get(asked(session, "b")[0]).is_cached


def test_a_batch_is_looked_up_by_who_asks_and_asked_anew_by_who_wants_that(
    provider: DemoProvider, tmp_path: Path
) -> None:
    """Neither a judge, nor another trial, nor `refresh` gets what is there; refreshing replaces it."""
    through_batch(tmp_path, "a")
    with session_in(tmp_path, **BATCH) as session:
        [same] = asked(session, "a")
        for question in (dataclasses.replace(same, ordinal=1), *asked(session, "a", role="judge")):
            with pytest.raises(PendingError):
                session.asker.get(question)
    assert [reply.text for reply in through_batch(tmp_path, "a", cache="refresh")] == ["a, answer 4"]
    with session_in(tmp_path, **BATCH) as session:
        assert session.asker.get(asked(session, "a")[0]).text == "a, answer 4"
    assert submitted(provider) == 4


def test_what_a_batch_left_undone_is_not_kept(provider: DemoProvider, lab: Lab, tmp_path: Path) -> None:
    """A refusal is no reply: the next run submits it."""
    lab.refuses = "b"
    with session_in(tmp_path, **BATCH) as session:
        with pytest.raises(PendingError):
            session.asker.get_all(asked(session, "a", "b"))
        run_id = session.run_id
    with session_in(tmp_path, resume=run_id, **BATCH) as session:
        session.collect()
    with session_in(tmp_path, **BATCH) as session:
        with pytest.raises(PendingError):
            session.asker.get_all(asked(session, "a", "b"))
        assert [told["test_key"] for batch in session.store.batches(session.run_id) for told in batch.told] == [
            "test_it[b]"
        ]


def test_what_does_not_fit_the_budget_keeps_nobody_from_what_is_there(provider: DemoProvider, tmp_path: Path) -> None:
    """The batch is refused as a whole; a hit takes nothing from the budget."""
    through_batch(tmp_path, "a")
    with session_in(tmp_path, **BATCH, max_cost="0.0000001") as session:
        session.asker.plan(asked(session, "a", "b"))
        with pytest.raises(OverBudgetError):
            session.asker.get(asked(session, "b")[0])
        assert session.asker.get(asked(session, "a")[0]).is_cached
        assert not session.store.spent(session.run_id).rows
    assert submitted(provider) == 1


def test_what_one_process_of_a_run_has_found_the_others_have(provider: DemoProvider, tmp_path: Path) -> None:
    """Each knows all that is planned; the first looks it up, and a reply is stored once."""
    through_batch(tmp_path, "a", "b")
    with session_in(tmp_path, **BATCH) as one, session_in(tmp_path, beside=one, **BATCH) as other:
        for session in (one, other):
            session.asker.plan(asked(session, "a", "b"))
        assert one.asker.get(asked(one, "a")[0]).is_cached
        assert other.asker.get(asked(other, "b")[0]).is_cached
        assert len(stored(one).replies) == 2
    assert submitted(provider) == 1


def test_a_text_that_is_stored_without_its_secret_is_found_as_it_was_asked(
    provider: DemoProvider, tmp_path: Path
) -> None:
    """The books hold it redacted, so the key is of what was asked, not of what they hold."""
    secret = "a-secret-of-mine-4711-0815"
    redaction.register(secret)
    through_batch(tmp_path, f"my key is {secret}")
    assert secret.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*.db*"))
    with session_in(tmp_path, **BATCH) as session:
        assert session.asker.get(asked(session, f"my key is {secret}")[0]).is_cached


def test_a_batch_that_was_submitted_without_a_key_is_collected_and_not_kept(
    provider: DemoProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an earlier version of ours."""

    def as_before(question: Question) -> dict[str, Any]:
        return {name: value for name, value in written(question).items() if name != CACHE_KEY}

    monkeypatch.setattr(batch_submit, "written", as_before)
    through_batch(tmp_path, "a")
    with session_in(tmp_path, **BATCH) as session:
        assert session.cache is not None
        assert session.cache.find(cache_key_of(asked(session, "a")[0])) is None


def test_what_was_found_leaves_a_line_in_the_log(provider: DemoProvider, tmp_path: Path) -> None:
    """As a cached call, under the run that got it."""
    through_batch(tmp_path, "a")
    with session_in(tmp_path, **BATCH, request_log="calls") as session:
        session.asker.get(asked(session, "a")[0])
        session.flush_log()
        lines = [*LogReader.of_folder(session.folder / "logs" / session.run_id).lines()]
    assert [(line["outcome"], line["test"]) for line in lines if line["event"] == "call"] == [("cached", "test_it[a]")]


def test_that_a_test_got_another_ones_reply_is_told(provider: DemoProvider, tmp_path: Path) -> None:
    """As where questions are asked directly."""
    through_batch(tmp_path, "a")
    with session_in(tmp_path, **BATCH) as session:
        [same] = asked(session, "a")
        session.asker.get_all([same, dataclasses.replace(same, test_key="test_other")])
        [told] = session.asker.notes
    assert told.startswith("1 times a test got the reply to another test of this run")


def test_an_answer_without_a_word_is_an_answer(provider: DemoProvider, lab: Lab, tmp_path: Path) -> None:
    """All its tokens went into thoughts that nobody is told: it is stored, and submitted once."""
    lab.silent = "hm"
    [reply] = through_batch(tmp_path, "hm")
    assert (reply.text, reply.usage.completion_tokens, reply.finish_reason) == ("", 9, "length")
    assert submitted(provider) == 1
    with session_in(tmp_path, **BATCH) as session, pytest.raises(PendingError):  # but it is nothing to give again
        session.asker.get(asked(session, "hm")[0])
