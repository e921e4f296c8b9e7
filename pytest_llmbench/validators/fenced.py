"""Code in a reply: in a Markdown fence, in backticks, or all of it."""

from __future__ import annotations

import re

_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def code_of(answer: str) -> str:
    """The code that a reply gives: the last fenced block; the only code in backticks; else the whole text."""
    if (block := _last_block(answer)) is not None:
        return block
    inline = _INLINE.findall(answer)
    return str(inline[0]) if len(inline) == 1 else answer


def _last_block(answer: str) -> str | None:
    """What stands in the last fence that was closed; None where there is none."""
    found, opened = None, None
    lines = answer.splitlines(keepends=True)
    for place, line in enumerate(lines):
        mark = line.strip()
        if opened is None and mark.startswith("```") and "`" not in mark[3:]:
            opened = place
        elif opened is not None and mark == "```":
            found, opened = (opened + 1, place), None
    return None if found is None else "".join(lines[slice(*found)])
