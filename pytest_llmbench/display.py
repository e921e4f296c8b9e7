"""Text of others made safe to show.

Model output, provider replies and GGUF metadata are hostile: a terminal obeys escape sequences in them (clipboard,
title, cursor), bidirectional marks make a reader see what is not there, and invisible characters hide what is. Standard
library only: pytest's report path uses it.
"""

from __future__ import annotations

import re
from functools import cache

from pytest_llmbench.redaction import redact

_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_BIDI = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SEPARATORS = r"\u2028\u2029"
# Not among them: the joiners U+200C and U+200D and the variation selectors U+FE00 to U+FE0F; without them emoji and the
# scripts of Iran and India are not what was written.
_INVISIBLE = r"\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a"
_SMUGGLING = r"\U000e0000-\U000e007f\U000e0100-\U000e01ef"
"""Tags and supplementary variation selectors: whole messages can stand in them, and nobody sees one."""
_SURROGATES = r"\ud800-\udfff"


def display_safe(text: str, *, keep: str = "\n\t") -> str:
    """The text with everything that steers a terminal or the reading direction, or cannot be seen, made visible.

    Args:
        text: anything, lone surrogates included.
        keep: control characters to leave as they are; `""` for a text that must stay on one line. Where line feeds are
            kept, a carriage return right before one is, too.

    Returns:
        C0 controls as their Unicode pictures (`␛`, `␀`), DEL as `␡`, everything else that has no glyph of its own (C1,
        bidirectional marks, zero-width and tag characters, line and paragraph separators, lone surrogates) as
        `⟨U+202E⟩`. It can be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return _unsafe(keep).sub(_visible, text)


def terminal_safe(text: str, *, keep: str = "\n\t") -> str:
    """`display_safe`, and without keys: for whatever a terminal, a log or an error message shows."""
    return display_safe(redact(text), keep=keep)


@cache
def _unsafe(keep: str) -> re.Pattern[str]:
    kept = f"(?![{re.escape(keep)}])" if keep else ""
    line_end = r"(?!\r\n)" if "\n" in keep else ""
    return re.compile(f"{kept}{line_end}[{_CONTROLS}{_BIDI}{_SEPARATORS}{_INVISIBLE}{_SMUGGLING}{_SURROGATES}]")


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
