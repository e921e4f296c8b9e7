"""Where in a reply its answer stands, and whether it is one answer.

The first of these that is there decides:

1. the last `\\boxed{…}`;
2. the last line `Final answer: …`, or `#### 72`;
3. all of `Answer: …`, `the answer is …`;
4. all lines that are nothing but an answer;
5. the whole text.

Within 3, 4 and 5 everything found must be the same answer: who gives several has not answered. What is denied (`not
12`) is not given. What is taken back behind the answer (`wait, …`) leaves none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pytest_llmbench.validators.reply_text import (
    first_sentence,
    one_form,
    sentences,
    undressed,
    without_emphasis,
    without_reasoning,
)


@dataclass(frozen=True, slots=True)
class Found:
    """One answer that a text gives."""

    value: Hashable
    """Equal for equal answers, however they are written."""
    shown: str


Read = Callable[[str], Iterable[Found]]
"""All answers that a text gives, denied ones left out."""
ReadLine = Callable[[str], Found | None]
"""The answer that a line is, where it is nothing else."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The one answer of a reply, or why there is none."""

    found: Found | None
    several: tuple[str, ...] = ()
    """Two answers that differ."""


_FINAL = re.compile(
    r"^[-* ]{0,4}final answer ?(?:is ?)?[:=] ?|^####(?= ?[-+]?[$£€]?\.?\d)", re.IGNORECASE | re.MULTILINE
)
_PLAIN = re.compile(r"\banswer ?(?:(?:is|was|would be|should be|must be)\b ?[:=]?|[:=]) ?", re.IGNORECASE)
_RETRACTION = re.compile(
    r"\b(?:wait|actually|correction|on second thought|alternatively|or maybe|or perhaps|my mistake|no longer)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot|n't|\bnever|\brather than|\binstead of|\bneither|\bnor|≠|!=) ?"
    r"(?:(?:the|a|an|option|choice|answer|be|is|equal|to) ){0,3}[\"'($£€]{0,2}$",
    re.IGNORECASE,
)
_WINDOW = 40
"""Characters before an answer in which a denial may stand."""
_AFTERTHOUGHT_WORDS = 3
"""A sentence as short as this, behind an answer on its line, is another answer and no explanation."""


def denied(text: str, start: int) -> bool:
    """Whether what starts there is only named to be denied."""
    return _DENIED.search(text[max(0, start - _WINDOW) : start]) is not None


@dataclass(frozen=True, slots=True)
class Marked:
    """Where a reply says that its answer follows: the strongest kind of mark only."""

    spans: tuple[str, ...]
    """What stands behind each mark."""
    below: str = ""
    """What follows the line of the last."""
    final: bool = False
    """Whether nothing else can be the answer."""


def marked(reply: str) -> Marked:
    """What a reply marks as its answer."""
    text = one_form(without_reasoning(reply))
    if (boxed := _last_box(text)) is not None:
        return Marked((undressed(boxed),), final=True)
    text = without_emphasis(text)
    if final := list(_FINAL.finditer(text))[-1:]:
        return Marked(*_behind(text, final), final=True)
    text = undressed(text)
    return Marked(*_behind(text, list(_PLAIN.finditer(text))))


def extract(reply: str, read: Read, read_line: ReadLine) -> Extraction:
    """The one answer that a reply gives."""
    marks = marked(reply)
    of_marks = _one(_of_marks(marks, read))
    if of_marks.found or of_marks.several or marks.final:
        return of_marks
    text = undressed(one_form(without_reasoning(reply)))
    of_lines = _one(_of_lines(text, read, read_line))
    return of_lines if of_lines.found or of_lines.several else _one(read(text))


def afterthoughts(rest: str) -> Iterator[str]:
    """Sentences behind an answer that may be another: very short ones, and those that take something back."""
    for sentence in sentences(rest):
        if len(sentence.split()) <= _AFTERTHOUGHT_WORDS or _RETRACTION.search(sentence):
            yield sentence


def _last_box(text: str) -> str | None:
    """What the last `\\boxed{…}` holds; None where there is none, or it was cut off."""
    start = text.rfind("\\boxed{")
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]) if start >= 0 else ():
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[start + len("\\boxed{") : start + brace.start()]
    return None


def _behind(text: str, marks: Sequence[re.Match[str]]) -> tuple[tuple[str, ...], str]:
    """What follows each mark, on its line or on the next that has text, but not beyond the next mark."""
    spans, end = [], len(text)
    for mark, following in zip_longest(marks, marks[1:]):
        limit = following.start() if following else len(text)
        start = mark.end() + len(text[mark.end() : limit]) - len(text[mark.end() : limit].lstrip())
        line_end = text.find("\n", start, limit)
        end = limit if line_end < 0 else line_end
        spans.append(text[start:end])
    return tuple(spans), text[end:]


def _of_marks(marks: Marked, read: Read) -> Iterator[Found]:
    for span in marks.spans:
        sentence, rest = first_sentence(span)
        given = list(read(sentence))
        yield from given or read(span)
        for afterthought in afterthoughts(rest) if given else ():
            yield from read(afterthought)
    yield from _taken_back(marks.below, read)


def _of_lines(text: str, read: Read, read_line: ReadLine) -> Iterator[Found]:
    answered = False
    for line in text.splitlines():
        if found := read_line(line.strip()):
            answered = True
            yield found
        elif answered:
            yield from _taken_back(line, read)


def _taken_back(text: str, read: Read) -> Iterator[Found]:
    """What a text behind an answer puts in its place: `Wait, it is 15.`"""
    if back := _RETRACTION.search(text):
        yield from read(first_sentence(text[back.end() :])[0])


def _one(founds: Iterable[Found]) -> Extraction:
    first: Found | None = None
    for found in founds:
        if first is None:
            first = found
        elif found.value != first.value:
            return Extraction(None, several=(first.shown, found.shown))
    return Extraction(first)
