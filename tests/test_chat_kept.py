"""Chats that are kept: gone on with, listed, exported, forgotten; and what is kept of none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import store_samples as samples
from chat_projects import KEY, asking, empty_project, lab, stored

from pytest_llmbench import datasets
from pytest_llmbench.chat import kept
from pytest_llmbench.chat.conversation import Conversation
from pytest_llmbench.chat.exporting import export
from pytest_llmbench.datasets.columns import Columns
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.store import Store


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, and a user who is somebody else."""
    return empty_project(tmp_path, monkeypatch)


@pytest.fixture
def ask(project, capsys):
    """Runs the verb in this process: (exit status, standard output, standard error)."""
    return asking(capsys)


def test_a_chat_goes_on_where_it_was(ask, project):
    """The one that was used last, or one of a name; with its system prompt, its models, and what was spent in it."""
    with DemoProvider([Answer("Oslo."), Answer("Norway."), Answer("Hm.")]) as provider:
        lab(project, provider)
        assert ask("-m", "lab/m", "--session", "trip", "--system", "Be brief.", "Capital of Norway?")[0] == 0
        assert ask("-m", "lab/other", "something else")[0] == 0
        assert ask("--session", "trip", "Where is that?")[0] == 0
        assert ask("--continue", "Really?")[0] == 0
    bodies = [call.body for call in provider.chats()]
    assert bodies[2]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of Norway?"},
        {"role": "assistant", "content": "Oslo."},
        {"role": "user", "content": "Where is that?"},
    ]
    assert [body["model"] for body in bodies] == ["m", "other", "m", "m"]
    first, second = kept.listed(project / ".llmbench")
    assert (first.conversation.name, second.conversation.models) == ("trip", ("lab/other",))
    assert len(stored(project, first.run_id).replies) == 3


def test_another_model_under_the_same_name_is_told(ask, project):
    """The provider says who answered; a change amid a conversation is no secret."""
    with DemoProvider([Answer("one", served_model="m-1"), Answer("two", served_model="m-2")]) as provider:
        lab(project, provider)
        assert "before it was" not in ask("-m", "lab/m", "hi")[2]
        assert "lab/m: m-2 answered, before it was m-1" in ask("--continue", "hi")[2]


def test_chats_are_listed_and_forgotten(ask, project):
    """What was said and logged of one that is forgotten is gone."""
    with DemoProvider([Answer("a secret thing")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "--session", "one", "hi")
        ask("-m", "lab/m", "--session", "two", "hi")
    status, out, _ = ask("--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["name", "two", "one"]
    gone = kept.find(project / ".llmbench", "one").run_id
    assert ask("--forget", "one")[1] == "removed: one\n"
    assert [chat.conversation.name for chat in kept.listed(project / ".llmbench")] == ["two"]
    assert not (project / ".llmbench" / "logs" / gone).exists()
    status, _, err = ask("--forget", "tow")
    assert status == 4
    assert "did you mean 'two'?" in err


def test_runs_and_their_histories_know_nothing_of_chats(ask, project):
    """A database of its own."""
    with DemoProvider([Answer("ok")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "hi")
    assert not (project / ".llmbench" / "results.db").exists()
    assert (project / ".llmbench" / kept.DATABASE).stat().st_mode & 0o777 == 0o600


def test_where_no_texts_are_kept_none_is(ask, project):
    """Neither question nor answer nor system prompt, in no file; and such a chat cannot go on."""
    with DemoProvider([Answer("purple answer")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "--keep-prompts=false", "--system", "purple system", "--session", "x", "purple question")
        status, _, err = ask("--session", "x", "and?")
    assert (status, "were not kept" in err) == (4, True)
    assert stored(project).replies[0].usage.completion_tokens == 2
    assert holding(project, b"purple") == []


def test_a_chat_without_texts_is_as_new_as_its_last_question(ask, project):
    """Of two that are open at once, the one that was asked last is the last one, and the list says when that was."""
    first = Conversation().with_models(["lab/m"])
    with Store.open(make_folder(project) / kept.DATABASE) as store:
        for run_id, began in (("one", "2026-11-22T06:00:00+00:00"), ("two", "2026-11-22T07:00:00+00:00")):
            store.ensure_run(samples.run(run_id, began))
            kept.save(store, run_id, first.without_texts())
        assert kept.find(project / ".llmbench", kept.LAST).run_id == "two"
        asked = first.changed(lambda talk: talk.asking("purple question"))
        kept.save(store, "one", asked.without_texts())
        kept.save(store, "one", asked.without_texts().without_texts())
    asked_at = asked.talks[0].turns[0].at
    assert [told["used"] for told in json.loads(ask("--list", "--json")[1])] == [asked_at, "2026-11-22T07:00:00+00:00"]
    assert asked_at[:16].replace("T", " ") in ask("--list")[1].splitlines()[1]
    assert holding(project, b"purple") == []


def make_folder(project: Path) -> Path:
    folder = project / ".llmbench"
    folder.mkdir()
    return folder


def test_no_key_is_in_any_file(ask, project, monkeypatch):
    """Asked for, answered, failed, exported: what the model says of a key is not kept either."""

    def react(body):
        said = f"your key is {KEY}"
        return Failure(400, said) if body["model"] == "ill" else Answer(said, reasoning=[said])

    with DemoProvider(react) as provider:
        lab(project, provider)
        for words in (("hi",), ("--json", "hi"), ("--no-stream", f"my key is {KEY}")):
            status, out, err = ask("-m", "lab/m,lab/ill", *words)
            assert status == 11
            assert KEY not in out + err
    assert holding(project, KEY.encode()) == []


def holding(folder: Path, what: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and what in path.read_bytes()]


def test_an_exported_chat_is_a_dataset(ask, project):
    """A line of it is a sample whose input is the conversation."""
    with DemoProvider([Answer("Oslo."), Answer("Norway.")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "Capital of Norway?")
        ask("--continue", "Of which country?")
    chat = kept.find(project / ".llmbench", kept.LAST)
    path = export(project / "chat.jsonl", chat.run_id, chat.conversation)
    samples = [sample for _, sample in datasets.stream(path, Columns())]
    assert [sample.expected for sample in samples] == ["Oslo.", "Norway."]
    assert [message["role"] for message in samples[1].input] == ["user", "assistant", "user"]


def test_the_list_is_there_as_json_too(ask, project):
    """For programs; an empty one where no chat is kept."""
    assert json.loads(ask("--list", "--json")[1]) == []
    with DemoProvider([Answer("ok")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "--session", "one", "hi")
    [told] = json.loads(ask("--list", "--json")[1])
    assert (told["name"], told["models"], told["questions"]) == ("one", ["lab/m"], 1)
    assert told["id"] == stored(project).id


def test_a_chat_that_is_open_elsewhere_is_not_opened_twice(ask, project):
    """Two that go on with one would overwrite each other; after the first one's end it goes on."""
    with DemoProvider([Answer("one"), Answer("two")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "--session", "one", "hi")
        with kept.held(project / ".llmbench", stored(project).id):
            status, _, err = ask("--session", "one", "and?")
        assert (status, f"this chat is open in process {os.getpid()}" in err) == (4, True)
        assert len(provider.chats()) == 1
        assert ask("--session", "one", "and?")[1] == "two\n"


def test_a_chat_that_is_open_is_not_forgotten(ask, project):
    """Whoever has it open goes on writing into it; after its end it goes, with what told that it was open."""
    with DemoProvider([Answer("one")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "--session", "one", "hi")
    with kept.held(project / ".llmbench", stored(project).id):
        status, out, err = ask("--forget", "one")
    assert (status, out, f"this chat is open in process {os.getpid()}" in err) == (4, "", True)
    assert [chat.conversation.name for chat in kept.listed(project / ".llmbench")] == ["one"]
    assert ask("--forget", "one")[1] == "removed: one\n"
    assert list((project / ".llmbench" / "chats").iterdir()) == []


def test_a_folder_where_no_chat_can_be_kept_is_told_before_anything_is_asked(ask, project):
    """With its name, and without a traceback."""
    (project / ".llmbench").mkdir()
    (project / ".llmbench" / "chats").write_text("a file in the way")
    with DemoProvider([Answer("one")]) as provider:
        lab(project, provider)
        status, out, err = ask("-m", "lab/m", "hi")
        assert (status, out) == (1, "")
        assert "chats" in err
        assert provider.chats() == []
