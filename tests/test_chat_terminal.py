"""Chats as people have them: a real process at a terminal of its own, typed at."""

from __future__ import annotations

import os
import signal

from chat_terminals import ALT_ENTER, CTRL_C, CTRL_D, ENTER, KEY, UP, steering

from pytest_llmbench.chat import kept
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.demo import Answer, DemoProvider, Failure

ENDLESS = Answer("word " * 2000, itl_s=0.02)


def last_chat(folder):
    """The newest chat of a project, as it is stored."""
    return kept.find(folder / ".llmbench", kept.LAST).conversation


def asked(provider):
    """The messages of the last request."""
    return [(message["role"], message["content"]) for message in provider.chats()[-1].body["messages"]]


def test_a_conversation_is_had_line_by_line(chat, tmp_path):
    """Each question goes with all that was said; figures stand below each answer; the end says how to go on."""
    with DemoProvider([Answer("Oslo."), Answer("Norway.")]) as provider, chat(provider, "-m", "lab/m") as person:
        assert "Ctrl-D leaves" in person.prompt()
        person.type(f"Capital of Norway?{ENTER}")
        said = person.prompt()
        assert "Oslo.\n" in said
        assert "tokens" in said
        person.type(f"Which country?{ENTER}")
        assert "Norway.\n" in person.prompt()
        assert asked(provider) == [
            ("user", "Capital of Norway?"),
            ("assistant", "Oslo."),
            ("user", "Which country?"),
        ]
        person.type(f"/stats{ENTER}")
        row = next(line for line in person.prompt().splitlines() if line.startswith("lab/m"))
        assert row.split()[1:4] == ["2", "9", "2"]
        person.type(CTRL_D)
        assert person.end() == 0
        assert "llmbench chat --session" in person.shown


def test_commands_change_what_is_asked_and_of_whom(chat, tmp_path):
    """A wrong one is told with the near one; nothing of it ends the chat."""
    with (
        DemoProvider(lambda body: Answer(f"I am {body['model']}.")) as provider,
        chat(provider, "-m", "lab/m") as person,
    ):
        person.prompt()
        for line, told in (
            ("/retyr", "did you mean 'retry'?"),
            ("/retry", "nothing was asked yet"),
            ("/model nobody/x", "nobody knows"),
            ("/system Be brief.", "system prompt: Be brief."),
            ("one", "I am m."),
            ("/model lab/n", "talking to lab/n"),
            ("two", "I am n."),
            ("/undo", "taken back: two"),
            ("//three", "I am n."),
            ("/export talk.md", "written: talk.md"),
            ("/save trip one", "saved as trip one"),
            ("/cost", "spent: nothing"),
        ):
            person.type(line + ENTER)
            shown = person.prompt()
            assert told in shown or (told == "nobody knows" and "error:" in shown), shown
        assert asked(provider) == [
            ("system", "Be brief."),
            ("user", "one"),
            ("assistant", "I am m."),
            ("user", "/three"),
        ]
        person.type(f"/clear{ENTER}")
        person.prompt()
        person.type(f"four{ENTER}")
        person.prompt()
        assert asked(provider) == [("system", "Be brief."), ("user", "four")]
        person.type(f"/quit{ENTER}")
        assert person.end() == 0
    assert "> /three" in (tmp_path / "talk.md").read_text()
    assert last_chat(tmp_path).name == "trip one"


def test_ctrl_c_stops_the_answer_and_not_the_chat(chat, tmp_path):
    """What was said by then stays said; /retry asks for the whole."""
    with DemoProvider([ENDLESS, Answer("Whole.")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"go on{ENTER}")
        person.until("word word word")
        person.type(CTRL_C)
        assert "cut; " in person.prompt()
        [turn] = last_chat(tmp_path).talks[0].turns
        assert turn.state == State.CUT
        assert turn.text.startswith("word word word")
        person.type(f"and?{ENTER}")
        assert "Whole." in person.prompt()
        assert asked(provider)[1] == ("assistant", turn.text.strip())
        person.type(CTRL_C)
        person.type(f"{CTRL_D}")
        assert person.end() == 0


def test_what_is_pasted_is_one_question_however_many_lines_it_has(chat):
    """So is what is typed with Alt-Enter; Ctrl-C throws a line away that was begun."""
    with DemoProvider([Answer("ok")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"never sent{CTRL_C}")
        person.prompt()
        person.paste("first\n\nthird")
        person.type(f"{ALT_ENTER}fourth{ENTER}")
        person.prompt()
        assert asked(provider) == [("user", "first\n\nthird\nfourth")]
        assert len(provider.chats()) == 1


def test_what_was_typed_is_there_the_next_time_and_for_nobody_else(chat, tmp_path):
    """In the user's own folder, without keys; --no-history leaves nothing."""
    with DemoProvider([Answer("ok")]) as provider:
        with chat(provider, "-m", "lab/m", "--no-history") as person:
            person.prompt()
            person.type(f"not kept{ENTER}")
            person.prompt()
        assert not (tmp_path / "state" / "pytest-llmbench" / "chat-history").exists()
        with chat(provider, "-m", "lab/m") as person:
            person.prompt()
            person.type(f"my key is {KEY}{ENTER}")
            person.prompt()
            person.type(f"kept{ENTER}")
            person.prompt()
        with chat(provider, "-m", "lab/m") as person:
            person.prompt()
            person.type(UP + ENTER)
            person.prompt()
            assert asked(provider) == [("user", "kept")]
    file = tmp_path / "state" / "pytest-llmbench" / "chat-history"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "my key is [redacted]" in file.read_text()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def test_a_hostile_model_does_not_steer_the_terminal(chat):
    """Clipboard, title, colours and reading direction, in text, reasoning and names, cut into pieces anywhere."""
    hostile = Answer(
        reasoning=["th\x1b", "]0;owned\x07 ink "],
        pieces=["a\x1b", "]52;c;", "aGk=\x07 b\x1b[", "2J c\x9b31m d\u202e", "e\r", "\nf\rg "],
        tool_name="x\x1b[2J",
        tool_arguments=["{}"],
        headers={"x-evil": "1"},
    )
    refusal = Failure(400, "no \x1b]0;owned\x07 \u202e")
    with DemoProvider([hostile, refusal]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        said = person.prompt()
        assert "a␛]52;c;aGk=␇ b␛[2J c⟨U+009B⟩31m d⟨U+202E⟩e\r\nf␍g" in said
        assert "th␛]0;owned␇ ink" in said
        assert "[calls x␛[2J({})]" in said
        person.type(f"hi{ENTER}")
        assert "invalid_request" in person.prompt()
        person.type(CTRL_D)
        person.end()
    assert steering(person.raw) == []
    assert b"\x1b]" not in person.raw


def test_reasoning_is_shown_dimmed_while_it_comes(chat):
    """Beside the answer, whichever way the model tells it."""
    answers = [
        Answer("said", reasoning=["by ", "itself"], itl_s=0.3),
        Answer("<think>in the text</think>said"),
    ]
    with DemoProvider(answers) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        person.until("by ")
        assert "said" not in person.shown
        person.prompt()
        person.type(f"hi{ENTER}")
        person.prompt()
    assert b"\x1b[2mitself\x1b[0m" in person.raw
    assert b"\x1b[2min the \x1b[0m" in person.raw
    assert b"said\r\n" in person.raw
    assert "<think>" not in person.shown


def test_a_stream_that_breaks_says_what_came_and_why(chat):
    """It is not asked again by itself, for a part of it was shown; /retry does it."""
    broken = Answer("one two three", cut_after_events=3)
    with DemoProvider([broken, Answer("one two three")]) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"count{ENTER}")
        said = person.prompt()
        assert "one two" in said
        assert "stream.truncated" in said
        assert "/retry asks again" in said
        assert len(provider.chats()) == 1
        person.type(f"/retry{ENTER}")
        assert "one two three\n" in person.prompt()
        assert asked(provider) == [("user", "count")]


def test_a_wait_says_what_it_is_for(chat):
    """Refused for the rate: how long it takes stands there until the answer comes, or Ctrl-C ends the wait."""
    refused, long_refused = (Failure(429, "slow down", headers={"retry-after": wait}) for wait in ("2", "200"))
    answers = [refused, Answer("at last"), long_refused]
    with DemoProvider(answers) as provider, chat(provider, "-m", "lab/m") as person:
        person.prompt()
        person.type(f"hi{ENTER}")
        person.until("lab/m: rate limited, goes on in")
        assert "at last\n" in person.prompt()
        assert "2 tries" in person.shown
        person.type(f"again{ENTER}")
        person.until("goes on in")
        person.type(CTRL_C)
        assert "lab/m: cut" in person.prompt()


def test_several_models_stand_side_by_side_where_the_terminal_is_wide(chat, tmp_path):
    """Each has its own conversation, and one that fails leaves the others."""

    def react(body):
        if body["model"] == "ill":
            return Failure(401, "no such key")
        return Answer(f"I am {body['model']}, number {len(body['messages'])}.")

    with DemoProvider(react) as provider, chat(provider, "-m", "lab/a,lab/ill,lab/b", columns=130) as person:
        person.prompt()
        for number in (1, 3):
            person.type(f"Who?{ENTER}")
            said = person.prompt()
            assert any(
                f"I am a, number {number}." in line and f"I am b, number {number}." in line
                for line in said.splitlines()
            )
        assert "auth" in said
        person.type(CTRL_D)
        person.end()
    assert [[turn.state for turn in talk.turns] for talk in last_chat(tmp_path).talks] == [
        ["answered", "answered"],
        ["failed", "failed"],
        ["answered", "answered"],
    ]


def test_several_models_stand_below_each_other_where_it_is_not(chat):
    """In their order, the slow first one before the quick second one; Ctrl-C stops them all."""
    with (
        DemoProvider(
            lambda body: ENDLESS if body["messages"][-1]["content"] == "on" else Answer(body["model"])
        ) as provider,
        chat(provider, "-m", "lab/a,lab/b", columns=70) as person,
    ):
        person.prompt()
        person.type(f"hi{ENTER}")
        lines = [line.strip() for line in person.prompt().splitlines()]
        assert lines.index("lab/a") < lines.index("a") < lines.index("lab/b") < lines.index("b")
        person.type(f"on{ENTER}")
        person.until("word word")
        person.type(CTRL_C)
        assert person.prompt().count("cut; ") == 2


def test_a_spent_budget_is_told_and_does_not_end_the_chat(chat):
    """What is left is told by /cost."""
    prices = "{lab/m: {input: 1, output: 4}}"
    words = ("-m", "lab/m", "--max-cost", "0.0005", "--max-tokens", "5")
    with DemoProvider([Answer("ok")]) as provider, chat(provider, *words, prices=prices) as person:
        person.prompt()
        person.type(f"{'long ' * 600}{ENTER}")
        assert "lab/m was not asked" in person.prompt()
        person.type(f"hi{ENTER}")
        assert "ok\n" in person.prompt()
        person.type(f"/cost{ENTER}")
        assert "spent: $0.000005; left of the budget: $0.000495" in person.prompt()
        assert len(provider.chats()) == 1


def test_a_killed_chat_goes_on_where_it_was(chat, tmp_path):
    """What was answered is there, and the question that was under way."""
    with DemoProvider([Answer("Oslo."), ENDLESS, Answer("Norway.")]) as provider:
        with chat(provider, "-m", "lab/m") as person:
            person.prompt()
            person.type(f"Capital of Norway?{ENTER}")
            person.prompt()
            person.type(f"Which country?{ENTER}")
            person.until("word")
            os.kill(person.pid, signal.SIGKILL)
        with chat(provider, "--continue") as person:
            greeting = person.prompt()
            assert "1 answer so far" in greeting
            assert "Which country?" in greeting
            person.type(f"/retry{ENTER}")
            assert "Norway." in person.prompt()
        assert [content for _, content in asked(provider)] == ["Capital of Norway?", "Oslo.", "Which country?"]


def test_one_question_at_a_terminal_is_answered_as_it_comes(chat):
    """And ends; Ctrl-C ends it as an interrupted command."""
    with DemoProvider([Answer("one two three", itl_s=0.2), ENDLESS]) as provider:
        with chat(provider, "-m", "lab/m", "count") as person:
            person.until("one ")
            assert "three" not in person.shown
            assert person.end() == 0
        with chat(provider, "-m", "lab/m", "count") as person:
            person.until("word word")
            person.type(CTRL_C)
            assert person.end() == 2
        assert "cut; " in person.shown


def test_retry_asks_anew_whatever_the_cache_holds(chat):
    """Also where the answer is of an earlier opening, with the same place in it."""
    with DemoProvider([Answer("First."), Answer("Second.")]) as provider:
        for words in (("-m", "lab/m"), ("--continue",)):
            with chat(provider, *words, "--cache", "on") as person:
                person.prompt()
                person.type(f"{'hi' if words[0] == '-m' else '/retry'}{ENTER}")
                assert ("First." if words[0] == "-m" else "Second.") in person.prompt()
                person.type(CTRL_D)
                assert person.end() == 0
