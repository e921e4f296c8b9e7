"""What keeps two prompts apart that are near in meaning and want different answers.

"How do I turn it on" and "how do I turn it off" are neighbours to every embedding, and no threshold parts them from
true rewordings: docs/explanation/semantic-cache.md has the figures. So two prompts share an answer only where their
words are the same, in the same order, once what asks politely, the case of a sentence's first letter, contractions,
British or American spelling and the mark at the end are taken off. What is told of a difference is its kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from pytest_llmbench.cache.wording import plainly_asked

NAMED = ("code", "quote", "number", "negation", "unit", "date", "name", "question", "modality", "quantity", "condition")
"""Kinds of words that have to be the same, each in its order …"""
LISTED = (*NAMED, "direction", "opposite", "order")
"""… and those for which prepositions, opposites and the order of what both have in common do it."""
WORDS = "words"
"""All else that differs."""

_TOKEN = re.compile(
    r"""(?P<code>`[^`]{1,2000}`)
    | (?P<quote>"[^"\n]{1,2000}"|«[^»]{1,2000}»|(?<!\w)'[^'\n]{1,2000}'(?!\w))
    | (?P<line>\n[ \t]*)
    | (?P<figure>(?<![\w.,])[-+]?\d(?:[\d.,]*\d)?(?![^\W\d]))
    | (?P<word>\w+)
    | (?P<mark>[.,;:?!…()'"-])
    | (?P<symbol>[^\w\s])""",
    re.VERBOSE,
)
_SENTENCE_ENDS = frozenset(".?!:\n")
_CODE_AFTER = frozenset("._([-")
_KIND_OF = {"line": WORDS, "figure": "number", "symbol": "code"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, figure or mark of a prompt."""

    kind: str
    form: str


def differences(one: str, other: str) -> tuple[str, ...]:
    """In what two prompts differ, as kinds of `LISTED` or `WORDS`; empty where they may share an answer."""
    first, second = tokens(one), tokens(other)
    if first == second:
        return ()
    found = [kind for kind in LISTED if _of(first, kind) != _of(second, kind)]
    if _shared(first, second) != _shared(second, first):
        found.append("order")
    return tuple(found) or (WORDS,)


@lru_cache(2048)
def tokens(text: str) -> tuple[Token, ...]:
    """A prompt as it is compared."""
    return tuple(_tokens(plainly_asked(unicodedata.normalize("NFC", text))))


def _tokens(text: str) -> Iterator[Token]:
    begins, asks = True, False
    for found in _TOKEN.finditer(text):
        kind, form = found.lastgroup or "", found[0]
        if kind == "word":
            word = _word(form, begins=begins)
            asks = (asks and not begins) or word.kind == "question"
            yield word
        elif kind == "mark":
            if token := _mark(text, found, asks=asks):
                yield token
        else:
            yield Token(_KIND_OF.get(kind, kind), form)
        begins = form[0] in _SENTENCE_ENDS


def _word(form: str, *, begins: bool) -> Token:
    """A word; one with a capital that does not begin a sentence is a name, one like no other word is code."""
    if form == "I" or (begins and form[1:] == form[1:].lower()):
        form = form.lower()
    rest = form[1:]
    if "_" in form or any(map(str.isdigit, form)) or (rest != rest.lower() and rest != rest.upper()):
        return Token("code", form)
    known = _kinds().get(form.lower())
    return Token(known or ("name" if form != form.lower() else WORDS), form)


def _mark(text: str, found: re.Match[str], *, asks: bool) -> Token | None:
    """A mark of a sentence. One within a word or before it is code. One at the end counts only where it alone makes a
    question of a sentence: people leave it out."""
    mark, before, after = found[0], text[: found.start()], text[found.end() :]
    in_word = before[-1:].isalnum() and after[:1].isalnum()
    opens = mark in _CODE_AFTER and after[:1].isalnum() and (mark == "-" or before[-1:].isalnum())
    if in_word or opens:
        return Token("code", mark)
    if mark in "?!":
        return Token(WORDS, mark) if mark == "?" and not asks and before[-1:] != "?" else None
    return Token(WORDS, mark) if after.strip(" .?!…") else None


def _of(found: Sequence[Token], kind: str) -> list[str]:
    return [token.form for token in found if token.kind == kind]


def _shared(found: Sequence[Token], other: Sequence[Token]) -> list[str]:
    """What both have of words and names, in the order of the first."""
    common = set(other)
    return [token.form for token in found if token in common and token.kind in {WORDS, "name"}]


@cache
def _kinds() -> Mapping[str, str]:
    """Word → its kind; the first section that has it decides."""
    kinds: dict[str, str] = {}
    section = ""
    for line in files("pytest_llmbench").joinpath("data", "guard_words.txt").read_text("utf-8").splitlines():
        words = line.partition("#")[0].strip()
        if words.startswith("["):
            section = words.strip("[]")
        else:
            kinds |= {word: section for word in words.split() if word not in kinds}
    return kinds
