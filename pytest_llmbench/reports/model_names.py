"""Models' names where there is little room: a mark says that a file was requantized, and the quantization stays."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_llmbench.reports.cells import cell_width, clipped

MARK = "*"
_ORIGIN = re.compile(r" \(requantized from ([^()]*)\)")
_LEAST = 8
"""Cells of what stands before the quantization, below which all of the name is cut alike."""


def marked(text: str) -> str:
    """A text with a star behind each name in place of ` (requantized from Q4_1)`."""
    return _ORIGIN.sub(MARK, text)


def footnote(names: Iterable[str]) -> str:
    """What the star at some of these names means: `* requantized from Q4_1`; empty where none has one."""
    origins = sorted({found for name in names for found in _ORIGIN.findall(name)})
    return f"{MARK} requantized from {' or '.join(origins)}" if origins else ""


def fitted(name: str, width: int) -> str:
    """A name in at most `width` cells.

    Where the whole has no room the origin becomes a star; where that is not enough, what stands before the quantization
    loses its middle.

    Args:
        name: of a model or configuration, safe to show; more may stand behind its quantization.
        width: cells.
    """
    if cell_width(name) <= width:
        return name
    short = marked(name)
    head, colon, quant = short.rpartition(":")
    room = width - cell_width(colon + quant)
    if cell_width(short) <= width or not colon or room < _LEAST:
        return clipped(short, width)
    return clipped(head, room) + colon + quant
