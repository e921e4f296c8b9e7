"""What makes a chat at a terminal bearable: nothing that was said is wiped away, and no mistake ends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chat_terminals import CTRL_C, CTRL_D, ENTER, KEY, steering

from pytest_llmbench.chat.history import OwnHistory
from pytest_llmbench.demo import Answer, DemoProvider, Failure


def test_a_pause_amid_a_line_leaves_the_line_as_it_is(chat):
    """What is waited for is told where a line begins; elsewhere it would wipe away what was said."""
    paused = Answer(pieces=["one two ", "three"], itl_s=1.0, ttft_s=1.0)
    with DemoProvider([paused]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"count{ENTER}")
        person.until("waiting")
        person.prompt()
        assert b"one two three" in person.raw


def test_a_model_that_fails_at_first_is_told_while_it_is_asked_again(chat):
    """Else a minute of failures looks like a slow model; of the next question nothing failed yet."""
    answers = [Failure(500, "oh no"), Answer("late", ttft_s=1.2), Answer("later", ttft_s=1.2)]
    with DemoProvider(answers) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        person.until("lab/m: failed once, asked again")
        assert "late\n" in person.prompt()
        person.type(f"hi{ENTER}")
        person.until("lab/m: waiting")


def test_a_conversation_that_is_too_long_can_be_got_out_of(chat):
    """Asking again would fail again: what makes it shorter is named."""

    def react(body):
        return Failure(400, "too long", "context_length_exceeded") if len(body["messages"]) > 2 else Answer("ok")

    with DemoProvider(react) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"one{ENTER}")
        person.prompt()
        person.type(f"two{ENTER}")
        said = person.prompt()
        assert "context_length" in said
        assert "(/undo and /clear make the conversation shorter)" in said
        assert "/retry" not in said
        person.type(f"/clear{ENTER}")
        person.prompt()
        person.type(f"two{ENTER}")
        assert "ok\n" in person.prompt()


def test_without_colours_a_wait_is_told_and_models_stand_side_by_side_all_the_same(chat):
    """NO_COLOR takes the colours away, and nothing else."""
    answers = [Answer("late", ttft_s=1.2), Answer("one"), Answer("one")]
    with (
        DemoProvider(answers) as provider,
        chat(provider, "-m", "lab/m", columns=130, environ={"NO_COLOR": "1"}) as person,
    ):
        person.prompt()
        person.type(f"hi{ENTER}")
        person.until("lab/m: waiting")
        assert "late\n" in person.prompt()
        person.type(f"/model lab/m,lab/n{ENTER}")
        person.prompt()
        person.type(f"hi{ENTER}")
        assert any(line.split() == ["one", "one"] for line in person.prompt().splitlines())
    assert not {b"\x1b[2m", b"\x1b[1m"} & {*re.findall(rb"\x1b\[[0-9;]*m", person.raw)}


def test_ctrl_c_at_an_empty_prompt_tells_how_to_leave(chat):
    """Where a line was begun it only throws that away."""
    with DemoProvider([Answer("ok")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"begun{CTRL_C}")
        assert "Ctrl-D leaves" not in person.prompt()
        person.type(CTRL_C)
        assert "Ctrl-D leaves" in person.prompt()
        person.type(CTRL_D)
        assert person.end() == 0


def test_a_book_that_was_asked_about_is_not_shown_again_as_a_whole(chat):
    """Where a chat goes on, the beginning of what was said last tells which one it is."""
    with DemoProvider([Answer("A novel.")]) as provider:
        with chat(provider, "-m", "lab/m", "Call me Ishmael. " + "Some years ago. " * 500) as person:
            assert person.end() == 0
        with chat(provider, "--continue") as person:
            greeting = person.prompt()
    assert "> Call me Ishmael. Some years ago." in greeting
    assert "... (8,016 characters)" in greeting
    assert "1 answer so far" in greeting
    assert len(greeting) < 1000


def test_a_name_that_another_chat_has_is_not_given_twice(chat):
    """Else one of both could no longer be named."""
    with DemoProvider([Answer("ok")]) as provider:
        with chat(provider, "-m", "lab/m", "--session", "trip", "hi") as person:
            assert person.end() == 0
        with chat(provider, "-m", "lab/m") as person:
            person.prompt()
            person.type(f"/save trip{ENTER}")
            assert "another chat is called 'trip'" in person.prompt()
            person.type(f"/save trip two{ENTER}")
            assert "saved as trip two" in person.prompt()


def test_what_is_typed_in_another_encoding_is_told_and_not_sent(chat):
    """The terminal of a machine far away may be no UTF-8; the chat goes on."""
    with DemoProvider([Answer("ok")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type_bytes(b"caf\xe9\r")
        assert "no UTF-8 text (character 4)" in person.prompt()
        assert provider.chats() == []
        person.type(f"café{ENTER}")
        person.prompt()
        assert provider.chats()[0].body["messages"][-1]["content"] == "café"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_costs_the_history_and_not_the_question():
    """It is there for the arrow keys all the same, as long as the chat goes on."""
    history = OwnHistory("/dev/full")
    history.append_string("kept for now")
    assert history.get_strings() == ["kept for now"]


def test_a_narrow_terminal_gets_lines_in_place_of_a_table(chat):
    """Forty columns hold no ten figures beside each other; help is folded under itself."""
    with DemoProvider([Answer("ok")]) as provider, chat(provider, "-m", "lab/m", columns=40) as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        person.prompt()
        person.type(f"/stats{ENTER}")
        stats = person.prompt()
        assert "\nlab/m\n  answers      1\n" in stats
        person.type(f"/help{ENTER}")
        lines = (stats + person.prompt()).splitlines()
        assert max(map(len, lines)) <= 40
        assert any(line.startswith(" " * 10) for line in lines)


@pytest.mark.parametrize("typed", ["my dot.png", '"my dot.png"', r"my\ dot.png"])
def test_a_file_is_named_as_it_is_called_or_as_a_shell_writes_it(chat, tmp_path, typed):
    """Dragged into a terminal it comes in quotes, or with backslashes."""
    (tmp_path / "my dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with DemoProvider([Answer("a dot")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"/image {typed}{ENTER}")
        assert "with the next question: my dot.png" in person.prompt()
        person.type(f"/export {typed.replace('png', 'md')}{ENTER}")
        assert "nothing was asked" in person.prompt()
        person.type(f"What is it?{ENTER}")
        person.prompt()
        person.type(f"/export {typed.replace('png', 'md')}{ENTER}")
        assert "written: my dot.md" in person.prompt()


def test_side_by_side_nothing_steers_the_terminal_and_no_key_is_shown(chat):
    """However an answer is cut into pieces, also while it comes; reasoning and text stay apart."""
    hostile = Answer(
        reasoning=["th\x1b", "]0;owned\x07 ink"], pieces=["a\x1b[2", "J b ", KEY[:9], KEY[9:], " c"], itl_s=0.2
    )
    with DemoProvider(lambda _: hostile) as provider, chat(provider, "-m", "lab/a,lab/b", columns=130) as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        said = person.prompt()
    assert said.count("th␛]0;owned␇ ink") >= 2
    assert any(line.count("a␛[2J b [redacted] c") == 2 for line in said.splitlines())
    assert steering(person.raw) == []
    assert KEY[:9] not in said


def test_side_by_side_the_end_of_a_long_answer_is_seen_while_it_comes(chat):
    """All of it once it is complete."""
    poem = Answer("".join(f"line {number}\n" for number in range(100)), itl_s=0.004)
    with DemoProvider(lambda _: poem) as provider, chat(provider, "-m", "lab/a,lab/b", columns=130) as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        person.until("line 99", patience_s=20)
        lines = [line.split() for line in person.prompt().splitlines()]
    assert [line for line in lines if line[:1] == ["line"]][-100:] == [["line", str(n)] * 2 for n in range(100)]
