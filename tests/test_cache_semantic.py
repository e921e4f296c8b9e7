"""Replies to a question in other words: for chats that want them, marked as such, and for nobody else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from judge_suites import calls, court, judged_usecase
from redis_servers import running as running_redis
from served_sessions import session_in
from suite_runs import stored_run

from pytest_llmbench import config, embeddings
from pytest_llmbench.chat.figures import line_of
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import ConfigError, MissingExtraError
from pytest_llmbench.records import Alike, Reply
from pytest_llmbench.serving import open_model
from pytest_llmbench.session import Session

SEMANTIC = "cache: {semantic: {threshold: 0.9, for: [chat]}}\n"
QUESTION = "How do I reset my password?"
REWORDED = "Could you tell me how to reset my password?"
OPPOSITE = "How do I reset your password?"

Ask = Callable[..., Reply]


def echo(body: dict[str, Any]) -> Answer:
    """A model that repeats the question."""
    return Answer(f"{body['model']}: {body['messages'][-1]['content']}")


@contextmanager
def lab(folder: Path, section: str = SEMANTIC) -> Iterator[DemoProvider]:
    """A provider with two models, and the configuration of a project."""
    with DemoProvider(echo) as provider:
        models = "{m: {price: {input: 1, output: 10}}, n: {}}"
        text = f"providers:\n  lab: {{url: '{provider.url}', models: {models}}}\n{section}"
        (folder / "llmbench.yaml").write_text(text)
        yield provider


def asking(session: Session, *, model: str = "lab/m", role: str = "chat") -> Ask:
    """What asks one question at a time."""

    def ask(text: str, *before: dict[str, str], **settings: Any) -> Reply:
        messages = [*before, {"role": "user", "content": text}]
        [reply] = open_model(session, model, role=role).answers([request_of(model, messages, **settings)])
        return reply

    return ask


def test_a_question_in_other_words_gets_the_reply_and_says_so(tmp_path: Path) -> None:
    """It costs nothing, has no times, and tells which question it was; the very same is an ordinary hit."""
    with lab(tmp_path) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        first, second = ask(QUESTION), ask(REWORDED)
        assert (first.alike, first.is_cached) == (None, False)
        assert second.text == first.text
        assert (second.cost.source, second.cost.spent, second.is_cached, second.attempts) == ("alike", 0, True, 0)
        assert second.alike is not None
        assert second.alike.question == QUESTION
        assert 0.9 <= second.alike.cosine <= 1
        assert second.timing.ttft_s is None
    assert len(provider.chats()) == 1


def test_what_wants_another_answer_is_asked(tmp_path: Path) -> None:
    """Another word, another system prompt, another turn before, another setting, another model: each is asked."""
    rules, other = {"role": "system", "content": "Be brief."}, {"role": "system", "content": "Be long."}
    with lab(tmp_path) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        ask(QUESTION, rules)
        asked = [
            ask(OPPOSITE, rules),
            ask(REWORDED, other),
            ask(REWORDED),
            ask(REWORDED, rules, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}),
            ask(REWORDED, rules, max_tokens=7),
            ask(REWORDED, rules, temperature=0.5),
            asking(session, model="lab/n")(REWORDED, rules),
        ]
        assert [reply.cost.source for reply in asked].count("alike") == 0
        assert ask(REWORDED, rules).cost.source == "alike"
    assert len(provider.chats()) == 8


def test_whoever_asks_once_more_wants_another_answer(tmp_path: Path) -> None:
    """A second try at a question is not answered with another's reply."""
    with lab(tmp_path) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        ask(QUESTION)
        assert ask(REWORDED).cost.source == "alike"
        assert ask(REWORDED).cost.source == "priced"
    assert len(provider.chats()) == 2


def test_a_chat_shows_which_question_it_was(tmp_path: Path) -> None:
    """In the line below the answer, without any control character that somebody put into a shared cache."""
    with lab(tmp_path), session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        ask(QUESTION)
        reply = ask(REWORDED)
    assert line_of(reply).startswith(f"from the cache, where it answers {QUESTION!r} (cosine 0.9")
    hostile = dataclasses.replace(reply, alike=Alike("\x1b]52;c;aGk=\x07" + "very " * 100, 0.99))
    assert "\x1b" not in line_of(hostile)
    assert len(line_of(hostile)) < 300


@pytest.mark.parametrize("role", ["subject", "judge"])
def test_what_is_measured_and_what_judges_never_gets_anothers_reply(tmp_path: Path, role: str) -> None:
    """Whatever the configuration says of chats."""
    section = SEMANTIC.replace("[chat]", "[chat, judge]")
    with lab(tmp_path, section) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session, role=role)
        assert not any(ask(text).is_cached for text in (QUESTION, REWORDED))
    assert len(provider.chats()) == 2


@pytest.mark.parametrize("section", ["", "cache: {semantic: {for: [judge]}}\n", "cache: {ttl: 1h}\n"])
def test_it_is_off_unless_it_is_asked_for(tmp_path: Path, section: str) -> None:
    """A chat with a cache alone gets only what was asked in the same words."""
    with lab(tmp_path, section) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        assert not any(ask(text).is_cached for text in (QUESTION, REWORDED))
    assert len(provider.chats()) == 2


def test_a_later_session_knows_what_was_asked_and_a_fresh_one_does_not_care(tmp_path: Path) -> None:
    """What was asked lies in the cache with its reply; `refresh` and `off` ask."""
    with lab(tmp_path) as provider:
        for cache, text, source in (
            ("on", QUESTION, "priced"),
            ("on", REWORDED, "alike"),
            ("refresh", "Please tell me how to reset my password.", "priced"),
            ("off", "How can I reset my password?", "priced"),
        ):
            with session_in(tmp_path, cache=cache) as session:
                assert asking(session)(text).cost.source == source
    assert len(provider.chats()) == 3


def test_a_place_that_was_changed_is_a_miss(tmp_path: Path) -> None:
    """A flipped bit in what was asked, nonsense with a right checksum, a reply that is gone."""
    with lab(tmp_path) as provider:
        with session_in(tmp_path, cache="on") as session:
            asking(session)(QUESTION)
        path = tmp_path / ".llmbench" / "cache" / "cache.db"
        told = json.dumps({"scope": "x", "embedder": embeddings.EMBEDDER, "asked": [["a", "b", "c", "!"]]}).encode()
        nonsense = hashlib.sha256(told).digest() + told
        for change in (
            "UPDATE entries SET value = CAST(value || 'x' AS BLOB) WHERE model = '(questions)'",
            f"UPDATE entries SET value = X'{nonsense.hex()}' WHERE model = '(questions)'",
            "DELETE FROM entries WHERE model = '(questions)'",
        ):
            with closing(sqlite3.connect(path)) as connection, connection:
                assert connection.execute(change).rowcount == 1
            with session_in(tmp_path, cache="on") as session:
                reply = asking(session)("How can I reset my password")
                assert not reply.is_cached
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DELETE FROM entries WHERE model <> '(questions)'")
            with session_in(tmp_path, cache="on") as session:
                assert not asking(session)("How can I reset my password?!").is_cached
    assert len(provider.chats()) == 7


def test_what_was_asked_is_forgotten_with_the_cache(tmp_path: Path) -> None:
    """No prompt is left behind when the cache is cleared."""
    from pytest_llmbench.cache.opening import backend_of

    with lab(tmp_path), session_in(tmp_path, cache="on") as session:
        asking(session)(QUESTION)
    resolved = config.resolve({}, {}, {}, tmp_path)
    backend = backend_of(resolved)
    assert (backend.stats().entries, backend.stats().questions) == (1, 1)
    assert backend.clear() == 1
    assert backend.stats().questions == 0
    backend.close()
    assert b"reset my password" not in (tmp_path / ".llmbench" / "cache" / "cache.db").read_bytes()


def test_those_who_share_a_server_share_what_was_asked(
    tmp_path: Path, redis_program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two projects with one Redis server: what was asked in one is alike in the other."""
    section = "cache: {backend: redis, semantic: {threshold: 0.9, for: [chat]}}\n"
    one, other, data = (tmp_path / name for name in ("one", "other", "data"))
    for folder in (one, other, data):
        folder.mkdir()
    with running_redis(redis_program, data) as server, lab(one, section) as provider:
        monkeypatch.setenv("REDIS_URL", server.url)
        (other / "llmbench.yaml").write_text((one / "llmbench.yaml").read_text())
        with session_in(one, cache="on") as session:
            asking(session)(QUESTION)
        with session_in(other, cache="on") as session:
            assert asking(session)(REWORDED).cost.source == "alike"
    assert len(provider.chats()) == 1


def test_a_long_prompt_is_compared_with_nobodys(tmp_path: Path) -> None:
    """Of a prompt beyond the embedder's window a word more or less hardly moves the vector."""
    text = "Summarise this. " + "The quick brown fox jumps over the lazy dog. " * 40
    with lab(tmp_path) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        assert not any(ask(each).is_cached for each in (text, f"Please {text}"))
    assert len(provider.chats()) == 2


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{for: [subject]}", "what is measured is the model under test"),
        ("{for: []}", "for"),
        ("{threshold: 0.9}", "for"),
        ("{threshold: 0.2, for: [chat]}", "threshold"),
        ("{threshold: 1.5, for: [chat]}", "threshold"),
        ("{for: [chat], limit: 1}", "limit"),
    ],
)
def test_what_cannot_be_is_told_when_the_configuration_is_read(tmp_path: Path, section: str, message: str) -> None:
    """Above all: the model under test is never given another's reply."""
    (tmp_path / "llmbench.yaml").write_text(f"cache: {{semantic: {section}}}\n")
    with pytest.raises(ConfigError, match=message):
        config.resolve({}, {}, {}, tmp_path)


def test_without_the_extra_it_is_told_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr(embeddings, "find_spec", lambda _package: None)
    with lab(tmp_path) as provider, session_in(tmp_path, cache="on") as session:
        ask = asking(session)
        with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[embeddings\]"):
            ask(QUESTION)
    assert provider.chats() == []


@pytest.mark.parametrize(("section", "judged"), [("cache: {semantic: {for: [judge]}}\n", 2), ("", 6)])
def test_the_same_reply_is_judged_once_for_all_trials(pytester: pytest.Pytester, section: str, judged: int) -> None:
    """Two samples, three trials each, with the same reply every time: two verdicts in place of six, and six scores."""
    judged_usecase(pytester.path, 2, "judge: lab/j\nrepeats: 3")
    with court(pytester.path, section) as provider:
        result = pytester.runpytest_subprocess("shout", "--llmbench-cache=on")
    assert result.ret == 0, result.stdout.str()
    assert calls(provider) == {"m": 6, "j": judged}
    judges = [reply for reply in stored_run(pytester).replies if reply.role == "judge"]
    assert [reply.cost.source for reply in judges].count("alike") == 6 - judged
    assert len(judges) == 6


def test_replies_that_differ_in_anything_to_be_seen_get_verdicts_of_their_own(pytester: pytest.Pytester) -> None:
    """Each trial replies with another case or mark: a rubric may be about those."""
    spoken = iter(["LOUD.", "loud.", "LOUD", "LOUD.\n"])
    judged_usecase(pytester.path, 1, "judge: lab/j\nrepeats: 4")
    with court(pytester.path, "cache: {semantic: {for: [judge]}}\n", m=lambda _body: Answer(next(spoken))) as provider:
        result = pytester.runpytest_subprocess("shout", "--llmbench-cache=on")
    assert result.ret in {0, 1}, result.stdout.str()
    assert calls(provider) == {"m": 4, "j": 3}
