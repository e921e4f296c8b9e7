"""What gates decided, as the texts of a table: the rule, before, after, the change with its interval, the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import GateResult
from pytest_llmbench.reports import figures
from pytest_llmbench.results.deciding import amount

_SHOWN_FIRST = ("fail", "inconclusive", "fail (advisory)", "pass")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One gate in words; names and reasons are others' text, as they came."""

    rule: str
    subject: str
    """The model, and the profile or use case."""
    before: str
    """What the baseline has."""
    after: str
    change: str
    """Against the baseline with its 95 % interval; of an absolute rule the interval of the value."""
    verdict: str
    """`pass`, `fail`, `fail (advisory)` or `inconclusive`."""
    why: str


def verdict_rows(gates: Sequence[GateResult]) -> tuple[VerdictRow, ...]:
    """A row a gate: failed ones first, then what could not be decided."""
    return tuple(map(_row, sorted(gates, key=lambda gate: _place(gate.verdict))))


def _row(gate: GateResult) -> VerdictRow:
    found = gate.evidence
    return VerdictRow(
        rule=gate.gate.removeprefix(f"{gate.profile}, {gate.model}: "),
        subject=" · ".join(each for each in (gate.model, gate.profile) if each and each != "*") or "all",
        before=_value(found.before, gate.metric),
        after=_value(gate.value, gate.metric),
        change=_change(gate),
        verdict=gate.verdict if gate.verdict in _SHOWN_FIRST else "inconclusive",
        # What it would take to know stands in the reason only.
        why=(found.sentence if gate.verdict in {"pass", "fail"} else "") or gate.reason,
    )


def _place(verdict: str) -> int:
    return _SHOWN_FIRST.index(verdict) if verdict in _SHOWN_FIRST else 1


def _value(value: float | None, metric: str) -> str:
    if not _is_known([value]) or value is None:
        return figures.NOT_MEASURED
    unit = METRICS[metric].unit if metric in METRICS else ""
    return amount(value, unit) if unit == "USD" else figures.quantity(value, unit)


def _change(gate: GateResult) -> str:
    found = gate.evidence
    if not _is_known([found.change]):
        is_of_value = found.before is None and _is_known([found.low, found.high])
        return f"95 %: {_value(found.low, gate.metric)} to {_value(found.high, gate.metric)}" if is_of_value else "–"
    in_points = gate.metric in METRICS and METRICS[gate.metric].unit == "share"
    reach = f" (95 %: {_signed(found.low)} to {_signed(found.high)})" if _is_known([found.low, found.high]) else ""
    return f"{_signed(found.change)} {'points' if in_points else '%'}{reach}"


def _signed(share: float | None) -> str:
    """`+3.1`, `−0.4`: hundredths with their sign."""
    hundredths = round(100 * (share or 0.0), 1)
    sign = "−" if hundredths < 0 else "+" if hundredths > 0 else ""
    return f"{sign}{abs(hundredths):g}"


def _is_known(values: Iterable[float | None]) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)
