"""Text of others made safe to show.

Model output, provider replies and GGUF metadata are hostile: a terminal obeys escape sequences in them (clipboard,
title, cursor), and bidirectional marks make a reader see what is not there. Standard library only: pytest's report
path uses it.
"""

from __future__ import annotations

import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def display_safe(text: str, *, keep: str = "\n\t") -> str:
    """The text with everything that steers a terminal or the reading direction made visible.

    Args:
        text: anything, lone surrogates included.
        keep: control characters to leave as they are; `""` for a text that must stay on one line.

    Returns:
        C0 controls as their Unicode pictures (`␛`, `␀`), DEL as `␡`, everything else that has no glyph of its own (C1,
        bidirectional marks, line and paragraph separators, lone surrogates) as `⟨U+202E⟩`. It can be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep else _visible(char) for char in text)


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if char in _BIDI or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
        return f"⟨U+{code:04X}⟩"
    return char
