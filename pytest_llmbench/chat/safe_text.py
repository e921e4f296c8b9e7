"""An answer that comes in pieces, made safe for a terminal: what is dangerous may be split over two of them.

Escape sequences lose their power with their first byte, wherever they are cut. A key or the end of a line is only seen
whole: so a word is held back until the character after it has come.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_llmbench.chat.conversation import THOUGHT_TAG
from pytest_llmbench.display import terminal_safe

_WORD = "".join(map(chr, range(0x21, 0x7F)))
"""What words of ASCII are made of, as all keys are: one at the end of a piece may go on in the next one."""
_LONGEST_WORD = 4096
"""Characters that are held back; no key is as long."""
_LONGEST_TAG = 64


@dataclass(slots=True)
class SafeText:
    """Makes the pieces of one text safe."""

    _held: str = ""

    def take(self, piece: str) -> str:
        """What may be shown now of the text up to and with this piece."""
        text = self._held + piece
        begun = len(text.removesuffix("\r").rstrip(_WORD))  # of a line's end the second half may follow
        cut = begun if len(text) - begun <= _LONGEST_WORD else len(text)
        self._held = text[cut:]
        return terminal_safe(text[:cut])

    def rest(self) -> str:
        """What was held back; nothing follows."""
        held, self._held = self._held, ""
        return terminal_safe(held)


@dataclass(slots=True)
class Parted:
    """Tells reasoning that a model writes into its answer (`<think>...</think>` at its beginning) from what it says."""

    _held: str = ""
    _closing: str = ""
    """What ends the reasoning, while that goes on."""
    _decided: bool = False
    """Whether there is any at all, or none any more: the rest is the answer."""
    _has_begun: bool = True
    """False: the reasoning is over, and the empty lines behind it are no part of the answer."""
    _parts: list[tuple[str, bool]] = field(default_factory=list)

    def take(self, piece: str) -> list[tuple[str, bool]]:
        """(text, whether it is reasoning) of what is known by now."""
        self._held += piece
        if not self._decided and not self._closing:
            self._begin()
        if self._closing:
            self._think()
        if self._decided:
            self._answer()
        parts, self._parts = self._parts, []
        return parts

    def rest(self) -> list[tuple[str, bool]]:
        """What was held back; nothing follows."""
        self._put(len(self._held), thought=bool(self._closing))
        parts, self._parts = self._parts, []
        return parts

    def _begin(self) -> None:
        tag = THOUGHT_TAG.match(self._held)
        begun = self._held.lstrip()
        if tag is not None:
            self._held, self._closing = self._held[tag.end() :], f"</{tag[1]}>"
        elif begun and not (begun[0] == "<" and ">" not in begun and len(begun) < _LONGEST_TAG):
            self._decided = True

    def _think(self) -> None:
        end = self._held.find(self._closing)
        if end >= 0:
            self._put(end, thought=True)
            self._held = self._held.removeprefix(self._closing)
            self._closing, self._decided, self._has_begun = "", True, False
        else:  # its end may be cut in two
            self._put(max(0, len(self._held) - len(self._closing) + 1), thought=True)

    def _answer(self) -> None:
        if not self._has_begun:
            self._held = self._held.lstrip("\n")
            self._has_begun = bool(self._held)
        self._put(len(self._held), thought=False)

    def _put(self, length: int, *, thought: bool) -> None:
        if length:
            self._parts.append((self._held[:length], thought))
            self._held = self._held[length:]
