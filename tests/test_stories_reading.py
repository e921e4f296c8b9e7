"""Story files: what is read, what each mistake is told as, and what is doubtful in a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stories import lint, read
from pytest_llmbench.stories.spans import UnreadableSpanError, alternatives, spans

LAMP = r"""# Written down from a call.
Story: A broken lamp
System: You work for a shop.
  Be brief.

User: My lamp arrived
broken and/or late.
# He sounds angry.
Assistant: I am /\b(sorry|apologi[sz]e)\b/i about that (see https://shop.example/returns).
Would you like a /refund/ or a new one?

User:
\# 17, the money / cash please.
Assistant: Any answer will do.
User: When?
Assistant: Within "/14 days/".

Story: Opening hours
User: Are you open 24/7?
Assistant: /24\/7/, /[/]/ and /a/b/s.
"""


@pytest.fixture
def file(tmp_path) -> Path:
    """Where the story of a test stands."""
    return tmp_path / "lamp.story.txt"


def patterns(text: str) -> list[str]:
    """The patterns in the text of an answer."""
    return [str(span) for span in spans(text, 1)]


def told(file: Path, text: str) -> str:
    """The error of a story that is refused."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read(file)
    return str(refused.value)


def doubts(file: Path, pattern: str) -> list[str]:
    """What is doubtful in a story with one pattern."""
    file.write_text(f"Story: S\nUser: u\nAssistant: {pattern}\n")
    return [str(each) for each in lint(read(file))]


def test_a_story_is_read_as_it_is_written_down(file):
    """Texts over several lines, comments, a system message, several stories in a file."""
    file.write_text(LAMP, encoding="utf-8")
    lamp, hours = read(file)
    assert (lamp.title, lamp.line, lamp.system) == ("A broken lamp", 2, "You work for a shop.\n  Be brief.")
    assert [turn.user for turn in lamp.turns] == [
        "My lamp arrived\nbroken and/or late.",
        "# 17, the money / cash please.",
        "When?",
    ]
    assert [[str(span) for span in turn.spans] for turn in lamp.turns] == [
        [r"/\b(sorry|apologi[sz]e)\b/i", "/refund/"],
        [],
        ["/14 days/"],
    ]
    assert (hours.title, [str(span) for span in hours.turns[0].spans]) == (
        "Opening hours",
        [r"/24\/7/", "/[/]/", "/a/b/s"],
    )


def test_each_pattern_knows_its_line(file):
    """Comments and line ends count."""
    file.write_text(LAMP, encoding="utf-8")
    lines = LAMP.splitlines()
    for story in read(file):
        for turn in story.turns:
            assert lines[turn.line - 1].startswith("User:")
            assert all(str(span) in lines[span.line - 1] for span in turn.spans)


def test_files_of_other_systems_are_read_alike(file):
    """A byte order mark and CRLF are none of the story's."""
    file.write_bytes(b"\xef\xbb\xbf" + LAMP.replace("\n", "\r\n").encode())
    crlf = read(file)
    file.write_text(LAMP, encoding="utf-8")
    assert crlf == read(file)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("and/or, 24/7, km/h", []),
        ("see https://a.b/c/d/ and //x//", []),
        ("yes / no / maybe", []),
        ("(/a/) '/b/' «/c/» /d/.", ["/a/", "/b/", "/c/", "/d/"]),
        (r"/a\/b/ /[/]/ /c d/im", [r"/a\/b/", "/[/]/", "/c d/im"]),
        ("/a/b/ /c/", ["/a/b/", "/c/"]),
    ],
)
def test_a_slash_begins_a_pattern_only_where_a_word_could(text, found):
    """Addresses, units and alternatives in prose are prose."""
    assert patterns(text) == found


@given(st.text(alphabet="/ab \\[]|.\n(i", max_size=30))
def test_any_text_is_read_or_told(text):
    """Never an endless loop, never an error of another kind."""
    found, at = [], "/"
    try:
        found = list(spans(text, 1))
    except UnreadableSpanError as error:
        at = text[error.offset]
    assert at == "/"
    assert all(f"/{span.pattern}/{span.flags}" in text for span in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no story"),
        ("# nothing\n\n", "holds no story"),
        ("Hello\n", ":1: text before any Story:"),
        ("User: hi\n", ":1: User: before any Story:"),
        ("Story:\nUser: hi\nAssistant: /a/", ":1: a story's title is one line, and not empty"),
        ("Story: S\n", ":1: a story without a conversation"),
        ("Story: S\nAssistant: /a/\n", ":2: Assistant: where User: is to come"),
        ("Story: S\nUser: a\nUser: b\nAssistant: /c/", ":3: User: where Assistant: is to come"),
        ("Story: S\nUser: a\nSystem: b\nAssistant: /c/", ":3: System: where Assistant: is to come"),
        ("Story: S\nUser: a\nAssistant: /b/\nUser: c\n", ":4: nobody answers"),
        ("Story: S\nUser:\n\nAssistant: /b/\n", ":2: the user says nothing"),
        ("Story: S\nUser: a\nAssistant: b\n", ":1: nothing is checked in the story 'S'"),
        ("Story: S\nUser: a\nAssistent: /b/\n", ":3: 'Assistent' is none of Story, System, User, Assistant; did"),
        ("Story: S\nuser: a\nAssistant: /b/\n", ":2: 'user' is none of Story, System, User, Assistant; did you"),
        ("Story: S\nUser: a\nAssistant: x\ny /b\n", ":4: the pattern '/b' does not end in its line"),
        ("Story: S\nUser: a\nAssistant: /usr/local\n", ":3: the pattern '/usr/local' does not end"),
        ("Story: S\nUser: a\nAssistant: /b/q\n", ":3: the flag 'q' behind a pattern is none of i, m, s"),
        ("Story: S\nUser: a\nAssistant: /b/ii\n", ":3: the flag 'i' behind"),
        ("Story: S\nUser: a\nAssistant: x\n\n/(b/\n", ":5: the pattern /(b/ "),
        (
            "Story: S\nUser: a\nAssistant: /b/\nStory: S\nUser: a\nAssistant: /b/\n",
            ":4: the title 'S' stands in line 1",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_line(file, text, said):
    """A misspelt head would silently belong to what was said before it."""
    message = told(file, text)
    assert said in message
    assert str(file) in message


def test_a_line_with_a_colon_goes_on_with_what_is_said(file):
    """People write `Note:`; only what looks like a head of ours is a mistake."""
    file.write_text("Story: S\nUser: a\nNote: b\nP.S.: c\nAssistant: /d/\n")
    [story] = read(file)
    assert story.turns[0].user == "a\nNote: b\nP.S.: c"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Story: S\n\xff", ":2: not UTF-8"),
        (b"Story: S\n" + b"x\n" * 600_000, "longer than"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(file, content, said):
    """Within bounds, whatever a stranger put there."""
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(file)


@pytest.mark.parametrize(
    ("pattern", "whole"),
    [
        ("a|b", ["a", "b"]),
        ("(a|b)c", ["(a|b)c"]),
        (r"a\|b|[|]|c(d|(e|f))", [r"a\|b", "[|]", "c(d|(e|f))"]),
        ("[]|]|[^]|]", ["[]|]", "[^]|]"]),
        ("|a", ["", "a"]),
    ],
)
def test_alternatives_are_those_in_no_group(pattern, whole):
    """Escapes, classes and groups hide a bar."""
    assert alternatives(pattern) == whole


@pytest.mark.parametrize("pattern", ["/no|yes/", "/cat|dog food/i", r"/\d+|many/"])
def test_alternatives_that_match_within_words_are_doubtful(file, pattern):
    """`no` is found in `I know`; what to write is told."""
    [doubt] = doubts(file, pattern)
    assert "lamp.story.txt:3: " in doubt
    assert "the alternatives are not anchored" in doubt
    assert rf"/\b(?:{pattern.strip('/i')})\b/" in doubt


@pytest.mark.parametrize("pattern", ["/^yes|no$/", r"/\byes|no\b/", "/^yes|no/", "/yes|^no$/"])
def test_an_anchor_that_holds_for_one_alternative_only_is_doubtful(file, pattern):
    """`^yes|no$` is yes at the beginning, or no at the end."""
    [doubt] = doubts(file, pattern)
    assert "an anchor holds for one alternative only" in doubt
    assert r"/\b(?:yes|no)\b/" in doubt


@pytest.mark.parametrize(
    "pattern", [r"/\b(?:yes|no)\b/", "/(?:sorry|apolog)/", "/refund/", "/^yes$|^no$/", r"/\byes\b|\bno\b/", "/[|]x/"]
)
def test_anchored_or_grouped_alternatives_are_not_doubtful(file, pattern):
    """A group is how one says that parts of words are meant."""
    assert doubts(file, pattern) == []


@pytest.mark.parametrize("pattern", ["/a*/", "/.*/s", "/yes|/", "/(?:)/"])
def test_a_pattern_that_matches_anything_is_doubtful(file, pattern):
    """It checks nothing."""
    [doubt] = doubts(file, pattern)
    assert "matches every reply" in doubt


def test_the_documentations_story_can_be_copied(file):
    """And there is nothing doubtful in it."""
    page = Path(__file__).parents[1] / "docs" / "how-to" / "write-a-story.md"
    file.write_text(page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0])
    [story] = read(file)
    assert len(story.turns) == 2
    assert lint([story]) == []
