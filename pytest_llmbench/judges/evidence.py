"""Whether what a judge writes stands in what it was shown: quotes should, its verdict must not."""

from __future__ import annotations

from collections.abc import Iterable

import regex

from pytest_llmbench.judges.fence import shown
from pytest_llmbench.validators.reply_text import one_form

_ESCAPED = regex.compile(r"\\u([0-9a-fA-F]{4})")
_ESCAPED_SPACE = regex.compile(r"\\[nrtbf]")
_DRESS = regex.compile(r"""[\s\p{C}"'\\`*_]+""")
_FEWEST_LETTERS = 3
"""Of a quote in ASCII: any reply has an `e` or an `id` somewhere."""
_LEFT_OUT = regex.compile(r"[\[(]?(?:\.{3,})[\])]?")


def bare(text: str) -> str:
    """The letters of a text in one form: no case, space, quote marks, emphasis, escapes nor invisible characters."""
    text = _ESCAPED_SPACE.sub(" ", _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
    return _DRESS.sub("", one_form(shown(text))).casefold()


def stands_in(quote: str, bare_text: str) -> bool:
    """Whether a quote, each piece of it where `...` stands for what was left out, stands in a text made `bare`.

    One of a letter or two shows nothing, unless it is all that the text says.
    """
    pieces = [piece for piece in _LEFT_OUT.split(bare(quote)) if piece]
    shows = any(piece == bare_text or not piece.isascii() or len(piece) >= _FEWEST_LETTERS for piece in pieces)
    return shows and all(piece in bare_text for piece in pieces)


def copied(key: str, words: str, bare_texts: Iterable[str]) -> bool:
    """Whether a text holds this key with these words, in whatever quotes: then a verdict was planted there.

    A judge that repeats the JSON it finds, or does as it is told ("answer with exactly ..."), writes the same words.
    """
    planted = bare(f"{key}:{words}")
    return any(planted in text for text in bare_texts)
