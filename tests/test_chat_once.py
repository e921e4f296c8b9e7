"""One question to one or several models: what is printed where, with which exit code, and what is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chat_projects import asking, empty_project, lab, pipe, stored

from pytest_llmbench.chat import kept
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.demo import Answer, DemoProvider, Failure


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, and a user who is somebody else."""
    return empty_project(tmp_path, monkeypatch)


@pytest.fixture
def ask(project, capsys):
    """Runs the verb in this process: (exit status, standard output, standard error)."""
    return asking(capsys)


def test_the_answer_alone_goes_to_standard_output(ask, project):
    """All else goes to standard error: a pipe gets what was asked for."""
    with DemoProvider([Answer("Forty-two.\n", reasoning=["Let me ", "see."])]) as provider:
        lab(project, provider)
        status, out, err = ask("-m", "lab/m", "What", "is it?")
    assert (status, out) == (0, "Forty-two.\n")
    assert "tokens" in err
    assert "Let me" not in err  # nobody looks on
    assert provider.chats()[0].body["messages"] == [{"role": "user", "content": "What is it?"}]


def test_an_argument_is_the_instruction_and_the_pipe_the_material(ask, project, monkeypatch):
    """And the system prompt may stand in a file; settings go along as they were given."""
    (project / "rules.txt").write_text("Be brief.")
    pipe(monkeypatch, "a long text\n")
    with DemoProvider([Answer("short")]) as provider:
        lab(project, provider)
        words = ("--system", "@rules.txt", "--temperature", "0.3", "--max-tokens", "9", "--no-stream")
        assert ask("-m", "lab/m", *words, "Shorten:")[0] == 0
    body = provider.chats()[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Shorten:\n\na long text"},
    ]
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (0.3, 9, False)


def test_without_a_temperature_none_is_sent(ask, project):
    """A chat is no measurement: the provider's own holds."""
    with DemoProvider([Answer("ok")]) as provider:
        lab(project, provider)
        ask("-m", "lab/m", "hi")
    assert not {"temperature", "seed", "max_tokens"} & provider.chats()[0].body.keys()


def test_several_models_answer_in_their_order_and_one_that_fails_leaves_the_others(ask, project):
    """The quick one waits for the slow one to be shown; the exit code tells of the failure."""

    def react(body):
        if body["model"] == "ill":
            return Failure(401, "no such key")
        return Answer(f"I am {body['model']}.", ttft_s=0.3 if body["model"] == "slow" else 0)

    with DemoProvider(react) as provider:
        lab(project, provider)
        status, out, err = ask("-m", "lab/slow,lab/ill,lab/quick", "Who are you?")
    assert status == 11
    assert out == "== lab/slow\nI am slow.\n== lab/quick\nI am quick.\n"
    assert "lab/ill: auth" in err
    run = stored(project)
    assert sorted(reply.model for reply in run.replies) == ["lab/quick", "lab/slow"]
    assert [(each.model, each.category, each.role) for each in run.failed_attempts] == [("lab/ill", "auth", "chat")]


def test_json_is_a_record_an_answer_and_holds_what_was_said_as_it_was(ask, project):
    """In ASCII: a terminal that it lands on is not steered; failures have their category."""
    hostile = "\x1b]0;title\x07 \u202eabc"

    def react(body):
        return Failure(400, "too long", "context_length_exceeded") if body["model"] == "ill" else Answer(hostile)

    with DemoProvider(react) as provider:
        lab(project, provider)
        status, out, _ = ask("-m", "lab/m,lab/ill", "--json", "hi")
    assert status == 11
    assert out.isascii()
    first, second = map(json.loads, out.splitlines())
    assert first["text"] == hostile
    assert (first["model"], first["state"], first["error"], first["attempts"]) == ("lab/m", "answered", None, 1)
    assert first["usage"]["completion_tokens"] == 2
    assert second["error"]["category"] == "context_length"
    assert first["session"] == second["session"] == stored(project).id


def test_a_hostile_answer_is_made_safe_on_its_way_out(ask, project):
    """A file or a pipe may land on a terminal, too."""
    with DemoProvider([Answer(pieces=["a\x1b", "]52;c;aGk=\x07b", "\x9b31m c"])]) as provider:
        lab(project, provider)
        _, out, _ = ask("-m", "lab/m", "hi")
    assert out == "a␛]52;c;aGk=␇b⟨U+009B⟩31m c\n"


def test_what_was_refused_for_the_rate_is_asked_again_by_itself(ask, project):
    """By the asker, as in evaluations: the chat has no retries of its own."""
    refusals = [Failure(429, "slow down", headers={"retry-after": "0.1"})] * 2
    with DemoProvider([*refusals, Answer("at last")]) as provider:
        lab(project, provider)
        status, out, err = ask("-m", "lab/m", "hi")
    assert (status, out) == (0, "at last\n")
    assert "3 tries" in err
    assert [call.status for call in provider.chats()] == [429, 429, 200]


def test_a_broken_stream_that_nobody_saw_is_asked_again(ask, project):
    """Nothing of it was shown, so it is as if it never came."""
    with DemoProvider([Answer("one two three", cut_after_events=2), Answer("one two three")]) as provider:
        lab(project, provider)
        assert ask("-m", "lab/m", "hi")[:2] == (0, "one two three\n")


def test_a_stream_that_was_shown_is_not_asked_again_and_says_why_it_broke(ask, project):
    """With --stream a pipe gets it as it comes: what is out cannot be taken back."""
    with DemoProvider([Answer("one two three", cut_after_events=3), Answer("one two three")]) as provider:
        lab(project, provider)
        status, out, err = ask("-m", "lab/m", "--stream", "hi")
    assert (status, out) == (11, "one two \n")
    assert "stream.truncated" in err
    assert "8 characters had come and are no whole answer" in err
    [talk] = kept.find(project / ".llmbench", kept.LAST).conversation.talks
    assert (talk.turns[0].state, talk.turns[0].text) == (State.FAILED, "one two ")


def test_a_question_is_answered_from_the_cache_where_that_is_wanted(ask, project, monkeypatch):
    """Across chats, for the same credential only; nothing is spent, and no time is told that was not taken."""
    with DemoProvider([Answer(f"answer {number}") for number in range(3)]) as provider:
        lab(project, provider, prices="{lab/m: {input: 1, output: 4}}")
        assert ask("-m", "lab/m", "--cache", "on", "hi")[1] == "answer 0\n"
        _, out, err = ask("-m", "lab/m", "--cache", "on", "hi")
        assert (out, "from the cache" in err, "first token" in err) == ("answer 0\n", True, False)
        assert ask("-m", "lab/m", "hi")[1] == "answer 1\n"
        monkeypatch.setenv("LAB_KEY", "sk-somebody-else-77aa")
        assert ask("-m", "lab/m", "--cache", "on", "hi")[1] == "answer 2\n"
    assert [call.status for call in provider.chats()] == [200] * 3


def test_a_route_asks_the_next_model_and_says_so(ask, project):
    """Who answered stands with the answer; the talk goes on with the route."""

    def react(body):
        return Failure(401, "no such key") if body["model"] == "ill" else Answer("ok")

    with DemoProvider(react) as provider:
        lab(project, provider, routes="{careful: {models: [lab/ill, lab/m]}}")
        status, out, _ = ask("-m", "route/careful", "--json", "hi")
        record = json.loads(out)
        assert (status, record["model"], record["answered_by"]) == (0, "route/careful", "lab/m")
        assert ask("--continue", "--stream", "and?")[1] == "ok\n"
    talk = kept.find(project / ".llmbench", kept.LAST).conversation.talks[0]
    assert (talk.model, [turn.model for turn in talk.turns]) == ("route/careful", ["lab/m", "lab/m"])


def test_a_budget_holds_and_makes_answers_end(ask, project):
    """Nothing is sent that may cost more; without a longest answer nobody could tell."""
    with DemoProvider([Answer("ok")]) as provider:
        lab(project, provider, prices="{lab/m: {input: 1, output: 4}}")
        status, out, err = ask("-m", "lab/m", "--max-cost", "0.000001", "hi")
        assert (status, out) == (12, "")
        assert "raise --max-cost" in err
        assert provider.chats() == []
        assert ask("-m", "lab/m", "--max-cost", "1", "hi")[0] == 0
    assert provider.chats()[0].body["max_tokens"] == 1024


def test_a_picture_goes_along_with_the_question(ask, project):
    """As a part of the message."""
    (project / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with DemoProvider([Answer("a dot")]) as provider:
        lab(project, provider)
        assert ask("-m", "lab/m", "--image", "a.png", "What is it?")[:2] == (0, "a dot\n")
    text, picture = provider.chats()[-1].body["messages"][0]["content"]
    assert (text["text"], picture["type"]) == ("What is it?", "image_url")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing was asked"),
        (("--stream", "--no-stream", "hi"), "exclude each other"),
        (("--session", "a", "--continue", "hi"), "exclude each other"),
        (("--interactive", "hi"), "needs a terminal"),
        (("--continue", "hi"), "there is no chat 'last'"),
        (("--session", "a/b", "hi"), "cannot be called"),
        (("--temperature", "hot", "hi"), "not a number from 0 on"),
        (("-m", "demmo/facts", "hi"), "did you mean 'demo'?"),
        (("-m", "lab/m", "hi"), "$LAB_KEY"),
        (("-m", "route/none", "hi"), "route"),
        (("--image", "none.png", "hi"), "none.png cannot be read"),
        (("--modle", "x", "hi"), "did you mean '--model'?"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked_or_kept(ask, project, monkeypatch, words, told):
    """With exit code 4 and what to do."""
    monkeypatch.delenv("LAB_KEY")
    (project / "llmbench.yaml").write_text("providers:\n  lab: {url: 'http://127.0.0.1:9', key_env: LAB_KEY}\n")
    status, out, err = ask(*words)
    assert (status, out) == (4, "")
    assert told in err
    assert not (project / ".llmbench").exists()


def test_the_usual_model_is_named(ask, project, monkeypatch):
    """The first of llmbench.yaml, in the file's order; else one of this disk; else one that needs nothing."""
    with DemoProvider([Answer("ok")]) as provider:
        (project / "llmbench.yaml").write_text(
            f"providers:\n  lab:\n    url: '{provider.url}'\n    models: {{first: {{}}, second: {{}}}}\n"
        )
        _, _, err = ask("hi")
    assert "talking to lab/first: the first of llmbench.yaml" in err
    (project / "llmbench.yaml").unlink()
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(project / "none"))
    status, out, err = ask("What is 20 + 22?")
    assert (status, out) == (0, "42\n")
    assert "talking to demo/facts: it answers by rule" in err


def test_a_reader_that_stops_early_and_a_pipe_are_real(project):
    """As a shell runs it: the material by a pipe, the answer alone on the other side."""
    command = [sys.executable, "-m", "pytest_llmbench", "chat", "-m", "demo/echo", "again:"]
    done = subprocess.run(command, input="one\n", capture_output=True, text=True, cwd=project, check=True, timeout=60)
    assert done.stdout == "You said: again:\n\none\n"
    assert "tokens" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_answer_that_cannot_be_written_is_told_and_kept(project):
    """It is paid: a full disk does not take it away."""
    command = [sys.executable, "-m", "pytest_llmbench", "chat", "-m", "demo/facts", "What is 2 + 3?"]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - no file of ours
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=project,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    [talk] = kept.find(project / ".llmbench", kept.LAST).conversation.talks
    assert talk.turns[0].text == "5"
