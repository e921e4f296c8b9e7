"""What the matrix says while it goes on: what a resume keeps and does again, and when the time is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pytest_llmbench.backends.sameness import IDENTITY, told_before
from pytest_llmbench.profiles.words import seconds
from pytest_llmbench.records import Cell, CellState, Measurement, Range

_SHOWN = 300
_BRIEF = 40
"""Characters of one value: hashes are told apart by fewer."""


def over_time(budget_s: float | None, spent_s: float, expected: Range | None) -> str:
    """Why a cell would not end within the time that is left; empty where it would, or where there is no end.

    Args:
        budget_s: for the whole session; None: as long as it takes.
        spent_s: of it.
        expected: how long the cell will take (s); None: nobody knows, and it may begin while there is any time.
    """
    takes_s = expected.mid if expected else 0.0
    if budget_s is None or spent_s + takes_s <= budget_s:
        return ""
    used = f"{seconds(spent_s)} of {seconds(budget_s)} are used"
    if expected is None:
        return used
    return f"{used}, and it would take some {seconds(takes_s)} ({seconds(expected.low)} to {seconds(expected.high)})"


def resumed(keys: Sequence[str], stored: Mapping[str, Cell]) -> str:
    """What of a run that goes on is kept, and why the rest is decided again.

    Args:
        keys: of the cells of this session.
        stored: what the run had of them; decided ones are kept.
    """
    there = [stored[key] for key in keys if key in stored]
    kept = sum(1 for cell in there if CellState(cell.state).is_decided)
    again = Counter(_why(cell) for cell in there if not CellState(cell.state).is_decided)
    if new := len(keys) - len(there):
        again["(new)"] = new
    told = ", ".join(f"{count} {why}" for why, count in again.items())
    done = f"{kept} of {len(keys)} cells of the matrix are taken from the store"
    return f"{done}; decided now: {told}" if told else done


def _why(cell: Cell) -> str:
    if cell.category:
        return f"({cell.category.replace('_', ' ')})"
    return "(interrupted)" if cell.begun_at and cell.question else "(not begun)"


def redone(key: str, measurement: Measurement | None, identity: Mapping[str, object]) -> str:
    """Why what was measured before does not count any more.

    Args:
        key: of the cell.
        measurement: what it had.
        identity: of its model now.
    """
    before = {**told_before(measurement), **measurement.settings.get("subject", {})} if measurement else {}
    changed = [
        f"{name.replace('_', ' ')}: {_brief(before.get(name))} → {_brief(now)}"
        for name, now in identity.items()
        if before.get(name) != now and (name in before or name not in IDENTITY)
    ]
    why = "; ".join(changed) if before and changed else "its load, its settings or this machine are not what they were"
    return f"{key} is done again: {why}"[:_SHOWN]


def _brief(value: object) -> str:
    return "not told" if value is None else str(value)[:_BRIEF]
