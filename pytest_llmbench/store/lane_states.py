"""How the lines before models stand: the last word of whoever asks, for those who look on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pytest_llmbench.records import LaneState
from pytest_llmbench.store.rows import insert, row_of
from pytest_llmbench.store.tables import lane_states

Told = tuple[str, Sequence[LaneState]]
"""A run, and what changed in it."""


class Trouble(NamedTuple):
    """What was counted of the lines before one model."""

    opened: int
    """How often a breaker opened."""
    cuts: int
    """How often a limit was cut."""


def put_all(connection: Connection, several: Sequence[Told]) -> list[None]:
    """Write states, in place of what stood there for the same model of the same account; the last one stands."""
    newest = {(run_id, state.model, state.account): state for run_id, states in several for state in states}
    for (run_id, *_), state in newest.items():
        row = row_of(lane_states, state, run_id=run_id)
        changed = {name: value for name, value in row.items() if name not in _PLACE}
        connection.execute(insert(lane_states).values(row).on_conflict_do_update(index_elements=_PLACE, set_=changed))
    return [None] * len(several)


def of_run(connection: Connection, run_id: str) -> list[LaneState]:
    """Every line of a run, by the names of their models."""
    rows = select(lane_states).where(lane_states.c.run_id == run_id)
    ordered = rows.order_by(lane_states.c.model, lane_states.c.account)
    return [LaneState.from_dict({**row}) for row in connection.execute(ordered).mappings()]


def trouble(connection: Connection, run_id: str) -> dict[str, Trouble]:
    """What was counted in a run by model, its accounts together.

    Args:
        connection: to the database.
        run_id: the run; empty: all of them.
    """
    counted = select(lane_states.c.model, func.sum(lane_states.c.opened), func.sum(lane_states.c.cuts))
    chosen = counted.where(lane_states.c.run_id == run_id) if run_id else counted
    found = connection.execute(chosen.group_by(lane_states.c.model))
    return {model: Trouble(opened, cuts) for model, opened, cuts in found}


_PLACE = ["run_id", "model", "account"]
