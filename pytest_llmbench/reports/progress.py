"""How asking goes, as one line: replies, requests under way, tokens a second, cost, what holds it up, time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from pytest_llmbench.asker.question import ModelStatus, Status
from pytest_llmbench.display import terminal_safe

RATE_OVER_S = 10.0
"""Tokens and replies a second are those of so many last seconds."""
_MODELS_SHOWN = 4
_SEPARATOR = " · "


class Pace:
    """Remembers the last looks at a status, for rates."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque()

    def look(self, status: Status) -> None:
        """Take one in."""
        self._looks.append((status.elapsed_s, finished(status), sum(each.completion_tokens for each in status.models)))
        while status.elapsed_s - self._looks[0][0] > RATE_OVER_S and len(self._looks) > 2:
            self._looks.popleft()

    @property
    def replies_per_s(self) -> float:
        """0 where too little is known."""
        return self._rate(1)

    @property
    def tokens_per_s(self) -> float:
        """0 where too little is known."""
        return self._rate(2)

    def _rate(self, which: int) -> float:
        if len(self._looks) < 2:
            return 0.0
        first, last = self._looks[0], self._looks[-1]
        took_s = last[0] - first[0]
        return (last[which] - first[which]) / took_s if took_s > 0 else 0.0


def finished(status: Status) -> int:
    """Questions that are answered or have failed."""
    return sum(each.done + each.failed for each in status.models)


def total(status: Status) -> int:
    """All questions that are known by now."""
    return sum(map(_known, status.models))


def line(status: Status, pace: Pace, width: int | None = None) -> str:
    """The status in one line, safe for a terminal; what matters least is left out where it is too long.

    Args:
        status: how asking goes.
        pace: of the looks so far.
        width: columns; None: as long as it gets.
    """
    parts = [part for part in _parts(status, pace) if part]
    while width is not None and len(parts) > 1 and len(_SEPARATOR.join(parts)) > width:
        parts.pop()
    return _SEPARATOR.join(parts)[:width]


def _parts(status: Status, pace: Pace) -> Sequence[str]:
    """The most important first."""
    failed = sum(each.failed for each in status.models)
    under_way = sum(each.in_flight for each in status.models)
    return [
        f"asked {finished(status)}/{total(status)}",
        f"{failed} failed" if failed else "",
        _cost(status),
        _held_up(status),
        _left(status, pace),
        f"{under_way} in flight",
        f"{pace.tokens_per_s:.0f} tokens/s" if pace.tokens_per_s else "",
        *(_model(each) for each in status.models[:_MODELS_SHOWN] if len(status.models) > 1),
        f"{len(status.models) - _MODELS_SHOWN} more models" if len(status.models) > _MODELS_SHOWN else "",
    ]


def _cost(status: Status) -> str:
    usd = sum((Decimal(each.cost_usd) for each in status.models), Decimal(0))
    unknown = sum(each.unknown_costs for each in status.models)
    if not usd and not unknown and not status.budget_left_usd:
        return ""
    known = f"${usd:.4f}"
    if status.budget_left_usd:
        known += f" (${Decimal(status.budget_left_usd):.4f} left)"
    return f"{known} + {unknown} of unknown cost" if unknown else known


def _held_up(status: Status) -> str:
    if status.paused:
        return "paused: something is measured"
    states = [f"{each.model} {each.state}" for each in status.models if each.state]
    return terminal_safe(states[0], keep="") if states else ""


def _left(status: Status, pace: Pace) -> str:
    left = total(status) - finished(status)
    if not left or not pace.replies_per_s:
        return ""
    minutes, seconds = divmod(round(left / pace.replies_per_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


def _model(each: ModelStatus) -> str:
    return f"{terminal_safe(each.model, keep='')} {each.done + each.failed}/{_known(each)} (≤{each.limit})"


def _known(each: ModelStatus) -> int:
    return each.done + each.failed + each.in_flight + each.waiting
