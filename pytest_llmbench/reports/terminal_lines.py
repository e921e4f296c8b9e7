"""Styled lines: what the summaries are made of."""

from __future__ import annotations

from collections.abc import Mapping

Span = tuple[str, str]
"""(text, style)"""
Line = list[Span]

MARKUP: Mapping[str, Mapping[str, bool]] = {
    "": {},
    "bold": {"bold": True},
    "dim": {"light": True},
    "good": {"green": True},
    "warn": {"yellow": True},
    "bad": {"red": True},
    "good bold": {"green": True, "bold": True},
    "warn bold": {"yellow": True, "bold": True},
    "bad bold": {"red": True, "bold": True},
}
"""Style name → the markup of pytest's terminal writer, which drops it where the output is not a terminal."""

TITLE_WIDTH = 8
"""Cells of the margin in which a block's title stands."""
