"""Matching a pattern, as cell.py does it: in a process that may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import regex


def search(pattern: str, texts: Sequence[str], ignore_case: bool, whole: bool, limit_s: float) -> dict[str, Any]:
    """Where a pattern is found in each text: `{"found": [[start, end] or None, ...]}`, or why nobody knows.

    Returns:
        `{"refused": sentence, "late": bool}` where it is no pattern, or took longer than its limit.
    """
    try:
        compiled = regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
        look = compiled.fullmatch if whole else compiled.search
        found = [look(text, timeout=limit_s) for text in texts]
    except TimeoutError:
        return {"refused": f"takes longer than {limit_s:g} s", "late": True}
    except regex.error as error:
        return {"refused": f"is not valid: {error}", "late": False}
    except (RecursionError, MemoryError, OverflowError):
        return {"refused": "is too large", "late": False}
    return {"found": [match and match.span() for match in found]}
