"""Where answers stand on a terminal: side by side, or one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.showing import Flowing, Showing, Shows


def live(inks: Inks, hint: str = "") -> Shows:
    """Shows answers as they come: in columns where several models fit side by side, else one after the other.

    Args:
        inks: where to.
        hint: what is said behind an answer that is none.
    """

    def make(names: Sequence[str], _run_id: str) -> Showing:
        if len(names) > 1 and inks.answers.can_erase:
            from pytest_llmbench.chat import columns  # noqa: PLC0415 - rich loads with it

            if columns.are_possible(len(names), shutil.get_terminal_size().columns):
                return columns.Columns(inks, names, hint)
        return Flowing(inks, names, hint)

    return make
