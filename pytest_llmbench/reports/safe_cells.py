"""Cells that no spreadsheet takes for a formula."""

from __future__ import annotations

from pytest_llmbench.display import display_safe

_TRIGGERS = frozenset("=+-@\t\r\n＝＋－＠")
"""First characters that start a formula (OWASP, CSV injection), full-width forms included."""

LONGEST_CELL = 32_767
"""Characters (UTF-16 units) that a cell of Excel holds; it breaks longer ones up over the rows below."""
_CUT = "… [{left:,} more characters]"


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet runs: numbers as they are, None empty, text defused and without control characters."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = display_safe(value, keep="\n\t\r")
    return f"'{text}" if text.lstrip(" ")[:1] in _TRIGGERS else text


def fitting_cell(text: str) -> str:
    """A text that a cell of any spreadsheet holds: where it is too long, its beginning and how much is left out."""
    if len(text.encode("utf-16-le", "surrogatepass")) <= 2 * LONGEST_CELL:
        return text
    room = 2 * (LONGEST_CELL - len(_CUT.format(left=len(text))))
    kept = text.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore")
    return kept + _CUT.format(left=len(text) - len(kept))
