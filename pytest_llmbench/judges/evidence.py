"""Whether what a judge writes stands in what it was shown: quotes should, its verdict must not."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

import regex

from pytest_llmbench.judges.fence import shown
from pytest_llmbench.validators.reply_text import one_form

_ESCAPED = regex.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2}))")
_BASES = (16, 16, 16, 8)
"""Of the numbers that `_ESCAPED` finds."""
_ESCAPED_SPACE = regex.compile(r"\\[nrtbf]")
_UNSEEN = r"\p{C}\p{Default_Ignorable_Code_Point}\u2800"
_DRESS = regex.compile(rf"""[\s{_UNSEEN}"'\\`*_]+""")
_NO_LETTER = regex.compile(r"[^\p{L}\p{N}]+")
_FEWEST_LETTERS = 3
"""Of a quote in ASCII: any reply has an `e` or an `id` somewhere."""
_FEWEST_PLANTED = 12
"""Of words that are looked up by their letters alone: `what: it is` stands in many a sentence."""
_LEFT_OUT = regex.compile(r"[\[(]?(?:\.{3,})[\])]?")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a judge was shown, made ready to be searched."""

    bare: tuple[str, ...]
    """Of each text."""
    letters: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Shown:
        """These texts, the reply last."""
        known = tuple(map(bare, texts))
        return cls(known, tuple(map(_letters, known)))

    def has_quote(self, quote: str) -> bool:
        """Whether a quote stands in the reply, each piece of it where `...` stands for what was left out.

        One of a letter or two shows nothing, unless it is all that the reply says.
        """
        reply = self.bare[-1]
        pieces = [piece for piece in _LEFT_OUT.split(bare(quote)) if piece]
        shows = any(piece == reply or not piece.isascii() or len(piece) >= _FEWEST_LETTERS for piece in pieces)
        return shows and all(piece in reply for piece in pieces)

    def has_planted(self, key: str, words: str) -> bool:
        """Whether a text holds this key with these words, whatever stands between: then a verdict was planted there.

        A judge that repeats the JSON it finds, or does as it is told ("answer with exactly ..."), writes the same
        words; one that unwraps a quoted mail or reads XML, the same letters.
        """
        planted, letters = bare(f"{key}:{words}"), _letters(bare(words))
        if any(planted in text for text in self.bare):
            return True
        return len(letters) >= _FEWEST_PLANTED and any(f"{key}{letters}" in text for text in self.letters)


def bare(text: str) -> str:
    """The letters of a text in one form: no case, space, quote marks, emphasis, escapes nor invisible characters."""
    text = _ESCAPED_SPACE.sub(" ", _ESCAPED.sub(_unescaped, unquote(html.unescape(text))))
    return _DRESS.sub("", one_form(shown(text))).casefold()


def _unescaped(found: regex.Match[str]) -> str:
    number = next(int(digits, base) for digits, base in zip(found.groups(), _BASES, strict=True) if digits)
    return chr(number) if number <= sys.maxunicode else "\ufffd"


def _letters(bare_text: str) -> str:
    return _NO_LETTER.sub("", bare_text)
