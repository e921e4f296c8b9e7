"""Story files: `Story:`, `User:` and `Assistant:`, as people write a conversation down.

    # Lines that begin with # are comments.
    Story: A broken lamp
    User: My lamp arrived broken.
    Assistant: I am /\\b(sorry|apologi[sz]e)\\b/i about that. Would you like a /refund/ or a new one?
    User: The money, please.
    Assistant: It will be with you within /\\b14 days\\b/.

What stands between slashes must match somewhere in the model's reply; the words around are for the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.questions.rows import Place, whole_text
from pytest_llmbench.stories.spans import Span, UnreadableSpanError, spans

SUFFIX = ".story.txt"
_HEADS = ("Story", "System", "User", "Assistant")
_HEAD = re.compile(r"([A-Za-z]+)[ \t]*:[ \t]?")
_HINT = "a story is `Story: title`, then `User:` and `Assistant:` in turn; other lines go on with the one before"
_SLASH_HINT = "/pattern/ with i, m or s behind it; \\/ is a slash that begins or ends none"


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user says, and what the model's reply must match."""

    user: str
    spans: tuple[Span, ...]
    """None: any reply will do."""
    line: int
    """Of the user's words, from 1."""


@dataclass(frozen=True, slots=True)
class Story:
    """A conversation that a model is to have."""

    title: str
    turns: tuple[Turn, ...]
    file: Path
    line: int
    """Of its title, from 1."""
    system: str = ""


class _Said(NamedTuple):
    """A head with its text."""

    head: str
    text: str
    place: Place
    """Of the head."""


def read(file: Path) -> list[Story]:
    """The stories of a file, in its order.

    Raises:
        UsageError: it cannot be read, or is no story; with file and line.
    """
    groups: list[list[_Said]] = []
    for said in _said(whole_text(file), file):
        if said.head == "Story":
            groups.append([])
        elif not groups:
            raise said.place.error(f"{said.head}: before any Story:", hint=_HINT)
        groups[-1].append(said)
    if not groups:
        raise UsageError(f"{file} holds no story", hint=_HINT)
    stories = [_story(group) for group in groups]
    _check_titles(stories)
    return stories


def _said(text: str, file: Path) -> Iterator[_Said]:
    """The file's parts, each a head with all lines up to the next."""
    head, place, lines = "", Place(file, 1), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            if head == "Assistant":
                lines.append("")  # so that a pattern behind it keeps its line
            continue
        found = _HEAD.match(line)
        if found and found[1] in _HEADS:
            if head:
                yield _Said(head, "\n".join(lines), place)
            head, place, lines = found[1], Place(file, number), [line[found.end() :]]
            continue
        _check_line(line, found[1] if found else "", head, Place(file, number))
        lines.append(line.removeprefix("\\") if line.startswith("\\#") else line)
    if head:
        yield _Said(head, "\n".join(lines), place)


def _check_line(line: str, word: str, head: str, place: Place) -> None:
    """See that a line goes on with what is said: a head that is misspelt would silently be part of the one before.

    Raises:
        UsageError: it does not.
    """
    if near := did_you_mean(word, _HEADS) if word else "":
        raise place.error(f"{word!r} is none of {', '.join(_HEADS)}{near}", hint=_HINT)
    if not head and line.strip():
        raise place.error("text before any Story:", hint=_HINT)


def _story(group: list[_Said]) -> Story:
    title, *rest = group
    if not title.text.strip() or "\n" in title.text.strip():
        raise title.place.error("a story's title is one line, and not empty", hint=_HINT)
    system = rest.pop(0).text.strip() if rest and rest[0].head == "System" else ""
    turns = tuple(_turns(title, rest))
    if not any(turn.spans for turn in turns):
        raise title.place.error(
            f"nothing is checked in the story {title.text.strip()!r}",
            hint="put what a reply must match between slashes: Assistant: I am /sorry/i",
        )
    return Story(title.text.strip(), turns, title.place.file, title.place.line, system)


def _turns(title: _Said, said: list[_Said]) -> Iterator[Turn]:
    if not said:
        raise title.place.error("a story without a conversation", hint=_HINT)
    for index, one in enumerate(said):
        wanted = _HEADS[2 + index % 2]
        if one.head != wanted:
            raise one.place.error(f"{one.head}: where {wanted}: is to come", hint=_HINT)
    if len(said) % 2:
        raise said[-1].place.error("nobody answers: the Assistant: is missing", hint=_HINT)
    for user, answer in zip(said[::2], said[1::2], strict=True):
        if not user.text.strip():
            raise user.place.error("the user says nothing")
        yield Turn(user.text.strip(), _spans(answer), user.place.line)


def _spans(answer: _Said) -> tuple[Span, ...]:
    """The patterns of an answer, each tried out."""
    try:
        found = tuple(spans(answer.text, answer.place.line))
    except UnreadableSpanError as error:
        line = answer.place.line + answer.text.count("\n", 0, error.offset)
        raise Place(answer.place.file, line).error(str(error), hint=_SLASH_HINT) from None
    for span in found:
        try:
            span.compiled()
        except ValueError as error:
            raise Place(answer.place.file, span.line).error(f"the pattern {span} {error}", hint=_SLASH_HINT) from None
    return found


def _check_titles(stories: list[Story]) -> None:
    first: dict[str, Story] = {}
    for story in stories:
        if (twin := first.setdefault(story.title, story)) is not story:
            place = Place(story.file, story.line)
            raise place.error(f"the title {story.title!r} stands in line {twin.line}, too", hint="each has its own")
