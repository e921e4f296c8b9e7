"""What a chat does with texts: pieces of hostile answers made safe, reasoning told apart, turns put together."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import jsonschema
import pytest
import store_samples
from asking import ask
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench import redaction
from pytest_llmbench.chat.commands import is_command, text_of
from pytest_llmbench.chat.conversation import Conversation, State, Talk, spoken
from pytest_llmbench.chat.exporting import export
from pytest_llmbench.chat.figures import HEADS, line_of, rows_of
from pytest_llmbench.chat.kept import checked_name
from pytest_llmbench.chat.material import question_of, text_or_file
from pytest_llmbench.chat.safe_text import Parted, SafeText
from pytest_llmbench.chat.speaking import ROLE
from pytest_llmbench.demo import Answer
from pytest_llmbench.display import display_safe, terminal_safe
from pytest_llmbench.errors import UsageError
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.observe.log_schema import schema
from pytest_llmbench.records import Reply, ToolCall

KEY = "sk-canary-4f9a8b7c6d5e"
HOSTILE = f"line one\r\nplain \x1b[2J\x1b]52;c;aGk=\x07 \u202eright\rover {KEY} end\x9b31m"


@pytest.fixture(autouse=True)
def _known_key():
    redaction.register(KEY)


def said(pieces):
    """All that is shown of a text that comes in these pieces."""
    safe = SafeText()
    return "".join([*map(safe.take, pieces), safe.rest()])


@pytest.mark.parametrize(("itl_s", "tells"), [(0.003, False), (0.03, True)], ids=["at once", "word by word"])
def test_a_speed_is_told_only_of_what_took_some_time_to_come(itl_s, tells):
    """A few words within a millisecond are no 20,000 tokens a second."""
    reply = ask(Answer("one two three four five", itl_s=itl_s))
    assert call_metrics(reply.timing, reply.usage)["decode_tps"] > 0
    assert ("tok/s" in line_of(reply)) is tells
    [row] = rows_of(replace(store_samples.run(), replies=(replace(reply, role=ROLE),)))
    assert (row[HEADS.index("tok/s")] != "–") is tells


@given(st.lists(st.integers(0, len(HOSTILE)), max_size=12))
def test_a_hostile_text_is_as_safe_in_pieces_as_it_is_whole(cuts):
    """Wherever it is cut: within an escape sequence, a key, or the end of a line."""
    edges = [0, *sorted(cuts), len(HOSTILE)]
    pieces = [HOSTILE[a:b] for a, b in pairwise(edges)]
    assert said(pieces) == terminal_safe(HOSTILE)
    assert KEY not in said(pieces)
    assert "\x1b" not in said(pieces)


def test_what_is_held_back_is_no_more_than_a_word():
    """The text flows: only the word that may go on is missing, and none where a script writes none."""
    safe = SafeText()
    assert safe.take("two wor") == "two "
    assert safe.take("ds. 東京") == "words. 東京"
    assert safe.take("x" * 5000) == "x" * 5000


@given(st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_reasoning_in_the_text_is_told_apart_however_it_is_cut(cuts, is_closed):
    """`<think>` at the beginning; the same words later in an answer are words."""
    text = " \n<Think>a < b, so</Think>\nUse <think> tags." if is_closed else "<think>never done"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parted, parts = Parted(), []
    for start, end in pairwise(edges):
        parts += parted.take(text[start:end])
    parts += parted.rest()
    thought = "".join(part for part, is_thought in parts if is_thought)
    answer = "".join(part for part, is_thought in parts if not is_thought)
    assert (thought, answer) == (("a < b, so", "Use <think> tags.") if is_closed else ("never done", ""))
    assert spoken(text).strip() == answer


def test_a_text_that_begins_with_a_bracket_is_an_answer():
    """HTML is no reasoning, and is not held back for longer than it takes to see that."""
    parted = Parted()
    assert parted.take("<ht") == []
    assert parted.take("ml>") == [("<html>", False)]


def answered(text="yes", **fields):
    return Reply(text, "lab/m", **fields)


def test_what_was_answered_or_cut_goes_along_and_what_failed_does_not():
    """A question without an answer would stand beside the next one."""
    talk = Talk("lab/m").asking("one").answered(answered("<think>hm</think>first"))
    talk = talk.asking("two").ended(State.FAILED, "hal", "broke")
    talk = talk.asking("three").ended(State.CUT, "thi")
    talk = talk.asking("four").answered(answered("", tool_calls=(ToolCall("1", "look", '{"a": 1}'),)))
    assert talk.asking("five").messages("be brief") == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "thi"},
        {"role": "user", "content": "four"},
        {"role": "assistant", "content": '[called look({"a": 1})]'},
        {"role": "user", "content": "five"},
    ]


def test_asking_again_and_taking_back_change_the_last_turn_alone():
    """/retry opens it, /undo drops it; without any nothing happens."""
    talk = Talk("lab/m").asking("one").answered(answered()).asking("two").answered(answered())
    again = talk.asking_again()
    assert [turn.state for turn in again.turns] == [State.ANSWERED, State.OPEN]
    assert again.messages()[-1] == {"role": "user", "content": "two"}
    assert talk.undone().messages()[-1] == {"role": "user", "content": "one"}
    assert Talk("lab/m").asking_again() == Talk("lab/m").undone() == Talk("lab/m")


def test_who_comes_in_hears_what_was_said_and_who_stays_keeps_its_own():
    """Another model goes on with the conversation; side by side each has its own."""
    two = Conversation(talks=(Talk("a").asking("q").answered(answered("from a")), Talk("b")))
    changed = two.with_models(["b", "c", "c"])
    assert changed.models == ("b", "c")
    assert changed.talks[0] == Talk("b")
    assert changed.talks[1].turns == two.talks[0].turns


def test_a_conversation_survives_being_stored():
    """All that it holds is builtin types, there and back."""
    whole = Conversation(
        "name", "system", (Talk("m").asking([{"type": "text", "text": "see"}]).answered(answered("\ud800")),)
    )
    assert Conversation.from_dict(json.loads(json.dumps(whole.as_dict()))) == whole
    bare = whole.without_texts()
    assert "see" not in json.dumps(bare.as_dict())
    assert bare.models == ("m",)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/help", True),
        ("  /model a,b ", True),
        ("/?", True),
        ("/", True),
        ("/ what", False),
        ("//help", False),
        ("/usr/bin", False),
        ("a /help", False),
    ],
)
def test_a_line_is_a_command_where_it_begins_with_one_slash_and_a_word(line, is_one):
    """A path is a question, and so is what begins with two slashes: one of them is sent."""
    assert is_command(line) is is_one
    assert text_of("//help") == "/help"


def test_a_question_is_words_and_what_was_piped(tmp_path):
    """The argument is the instruction, the pipe the material; nothing at all is a mistake."""
    assert question_of("shorten:", "long text\n") == "shorten:\n\nlong text"
    assert question_of("", "  indented\n") == "  indented"
    with pytest.raises(UsageError, match="nothing was asked"):
        question_of(" ", "\n")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    text, picture = question_of("what is it?", "", [str(tmp_path / "a.png")])
    assert text == {"type": "text", "text": "what is it?"}
    assert picture["type"] == "image_url"
    with pytest.raises(UsageError, match="cannot be read"):
        question_of("what is it?", "", [str(tmp_path / "b.png")])


def test_a_system_prompt_may_stand_in_a_file(tmp_path):
    """What is no text, or not there, is told with the file's name."""
    (tmp_path / "s.txt").write_text("\ufeffBe brief.\n", encoding="utf-8")
    assert text_or_file(f"@{tmp_path / 's.txt'}") == "Be brief."
    assert text_or_file("Be brief.") == "Be brief."
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"b\.bin is no UTF-8 text"):
        text_or_file(f"@{tmp_path / 'b.bin'}")
    with pytest.raises(UsageError, match=r"none\.txt cannot be read"):
        text_or_file(f"@{tmp_path / 'none.txt'}")


@pytest.mark.parametrize("name", ["", "last", "-x", "a" * 61, "a/b", "\x1b[2J", "../../x"])
def test_not_everything_is_a_name(name):
    """It is shown in lists, and typed on command lines."""
    with pytest.raises(UsageError, match="cannot be called"):
        checked_name(name)


def talked():
    talk = Talk("lab/m").asking("one \x1b[2J").answered(answered(f"first {KEY}", id="7"))
    talk = talk.asking("two").ended(State.CUT, "half").asking("three").ended(State.FAILED, "", "no server")
    return Conversation("trip", "be brief", (talk,))


def test_an_export_to_read_holds_every_turn_and_nothing_that_steers_a_terminal(tmp_path):
    """What was cut or failed says so."""
    text = export(tmp_path / "x.md", "r1", talked()).read_text()
    assert text.startswith("# trip\n\nSystem: be brief\n\n## lab/m\n\n> one ␛[2J\n\nfirst [redacted]\n")
    assert "half\n\n*(cut)*" in text
    assert "*no answer: no server*" in text
    assert display_safe(text) == text


def test_an_export_for_programs_is_a_request_log_and_a_dataset_at_once(tmp_path):
    """Each answer with all that was said before it: lines of the open format, and samples with `input`, `expected`."""
    lines = export(tmp_path / "x.jsonl", "r1", talked()).read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["input"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one \x1b[2J"}]
    assert first["input"] == first["messages"]
    assert first["expected"] == first["text"] == "first [redacted]"
    assert (first["outcome"], second["outcome"]) == ("answered", "cancelled")
    assert (first["id"], second["id"]) == ("r1/chat/lab%2Fm/0/1", "r1/chat/lab%2Fm/1/1")
    for line in (first, second):
        jsonschema.validate(line, schema())
    whole = json.loads(export(tmp_path / "x.json", "r1", talked()).read_text())
    assert [turn["state"] for turn in whole["talks"][0]["turns"]] == ["answered", "cut", "failed"]


@pytest.mark.parametrize(("name", "said"), [("x.txt", "none of the endings"), ("there.md", "exists"), ("x", "endings")])
def test_an_export_that_cannot_be_is_refused(tmp_path, name, said):
    """Nothing is written over, and no form is guessed."""
    (tmp_path / "there.md").write_text("mine")
    with pytest.raises(UsageError, match=said):
        export(tmp_path / name, "r1", talked())
    with pytest.raises(UsageError, match="nothing was asked"):
        export(tmp_path / "new.md", "r1", Conversation(talks=(Talk("m"),)))
    assert (tmp_path / "there.md").read_text() == "mine"


def test_a_word_without_an_end_is_passed_on():
    """A model may write a file in base64 into one piece: it is looked at once, and not from each of its characters."""
    word = "x" * 500_000
    assert said([word, f"{word}é {word}"]) == f"{word}{word}é {word}"
