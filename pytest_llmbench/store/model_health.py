"""How models fared in the newest run that asked them, as stored: for those who ask where to send the next question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from sqlalchemy import Connection, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from pytest_llmbench.records import LaneState
from pytest_llmbench.store.tables import failed_attempts, lane_states, replies

_TIMED = 200
"""So many of its last replies tell how long one takes."""


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """Of one model in one run."""

    model: str
    run_id: str
    at: str
    """When its line stood so, else when the last of it was stored; ISO 8601, UTC."""
    lane: LaneState | None
    """How its line stood at last, in the account in which something happened last; None of a model of this machine."""
    answered: int
    """Replies."""
    latency_s: float | None
    """Mean of the last ones; None: none was timed."""
    failed: Mapping[str, int]
    """Category → failed attempts, the most frequent first."""


def of_model(connection: Connection, model: str) -> ModelHealth | None:
    """How a model fared in the newest run that knows how its line stood, else in the one that asked it last.

    Args:
        connection: one snapshot of the database.
        model: as users write it.

    Returns:
        None where nothing is known.
    """
    lane = _newest_lane(connection, model)
    run_id = lane[0] if lane else _last_asked(connection, model)
    answers = replies.c.run_id == run_id, _bears(replies.c.model, model)
    failures = failed_attempts.c.run_id == run_id, _bears(failed_attempts.c.model, model)
    answered = connection.scalar(select(func.count()).select_from(replies).where(*answers)) or 0
    category = failed_attempts.c.category
    failed = select(category, func.count()).where(*failures).group_by(category).order_by(func.count().desc(), category)
    ends = [
        select(func.max(replies.c.completed_at)).where(*answers),
        select(func.max(failed_attempts.c.at)).where(*failures),
    ]
    at = lane[1].at if lane else max(connection.scalar(end) or "" for end in ends)
    if not at:
        return None
    timings = select(replies.c.timing).where(*answers).order_by(replies.c.id.desc()).limit(_TIMED)
    times = [e2e_s for timing in connection.scalars(timings) if (e2e_s := timing.get("e2e_s")) is not None]
    told: dict[str, int] = dict(connection.execute(failed).all())
    return ModelHealth(model, run_id, at, lane[1] if lane else None, answered, fmean(times) if times else None, told)


def _newest_lane(connection: Connection, model: str) -> tuple[str, LaneState] | None:
    which = select(lane_states).where(lane_states.c.model == model).order_by(lane_states.c.at.desc()).limit(1)
    row = connection.execute(which).mappings().one_or_none()
    return None if row is None else (row["run_id"], LaneState.from_dict({**row}))


def _last_asked(connection: Connection, model: str) -> str:
    """The run of its last reply or failed attempt; empty where there is none."""
    ends = [(replies, replies.c.completed_at), (failed_attempts, failed_attempts.c.at)]
    found: list[tuple[str, str]] = []
    for table, at in ends:
        of_it = select(at, table.c.run_id).where(_bears(table.c.model, model)).order_by(table.c.id.desc()).limit(1)
        found += [(when, run_id) for when, run_id in connection.execute(of_it)]
    return max(found, default=("", ""))[1]


def _bears(column: ColumnElement[str], model: str) -> ColumnElement[bool]:
    """Whether it is of the model, which may be told with where it comes from."""
    return or_(column == model, column.startswith(f"{model} (", autoescape=True))
