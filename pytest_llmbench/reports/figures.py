"""Numbers for readers: the one place where seconds become milliseconds. `None` is "not measured", never 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeGuard

NOT_MEASURED = "–"

_MAX_UNIT = 12
"""Letters of a unit; a longer one would stretch a whole table."""

_SMALL_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def duration(seconds: float | None) -> str:
    """`38 ms`, `1.24 s`, `2 min 05 s`."""
    if not _measured(seconds):
        return NOT_MEASURED
    if seconds == 0:
        return "0 s"
    if abs(seconds) >= 120:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    # 0.9995 s would be rounded to "1000 ms"
    factor, unit = next(((f, u) for f, u in _SMALL_TIMES if abs(seconds) >= f * 0.9995), _SMALL_TIMES[-1])
    return f"{_three_digits(seconds / factor)} {unit}"


def speed(tokens_per_second: float | None) -> str:
    """`812`, `14.5`: the unit stands in the column's head."""
    return _three_digits(tokens_per_second) if _measured(tokens_per_second) else NOT_MEASURED


def size(count: float | None) -> str:
    """`231 MiB`, `7.8 GiB`."""
    if not _measured(count):
        return NOT_MEASURED
    for exponent, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**exponent * 0.9995:
            value = count / 1024**exponent
            return f"{value:.1f} {unit}" if value < 99.95 and exponent == 3 else f"{value:.0f} {unit}"
    return f"{count:.0f} B"


def percent(share: float | None) -> str:
    """`4.2 %`."""
    return f"{share * 100:.1f} %" if _measured(share) else NOT_MEASURED


def share(value: float | None) -> str:
    """`0.83`: a score from 0 to 1."""
    return f"{value:.2f}" if _measured(value) else NOT_MEASURED


def percent_range(low: float | None, high: float | None) -> str:
    """`89.0–91.8 %`."""
    return f"{low * 100:.1f}–{high * 100:.1f} %" if _measured(low) and _measured(high) else NOT_MEASURED


def quantity(value: float | None, unit: str) -> str:
    """A metric's value in the unit that reads best.

    Args:
        value: in the metric's own unit.
        unit: `s`, `B`, `share` (shown in percent), `tokens`, `Hz`, `tok/s` or any other, which is then shown as it is.
    """
    if not _measured(value):
        return NOT_MEASURED
    shown = _bare(value, unit)
    if unit in _WORN:
        return shown
    return shown + (unit[1:_MAX_UNIT] if unit.startswith("1/") else f" {unit[:_MAX_UNIT]}".rstrip())


def cell(value: float | str | None, unit: str) -> str:
    """A cell of a table under a head from `head`: the unit stands beside the value only where it depends on it."""
    if isinstance(value, str):
        return value
    return _bare(value, unit) if _measured(value) else NOT_MEASURED


def head(column: str, unit: str) -> str:
    """The head of a column: `decode, tok/s`; without the unit where the cells wear it."""
    name = column.replace("_", " ").strip()
    told = unit in {"", *_WORN} or unit in name or (unit == "1/h" and "hour" in name)
    return name if told else f"{name}, {unit[:_MAX_UNIT]}"


def scaled(unit: str, largest: float) -> tuple[float, str]:
    """What values up to `largest` are multiplied by for an axis, and the unit they then have."""
    if unit == "s":
        return (1000.0, "ms") if largest < 1 else (1.0, "s") if largest < 120 else (1 / 60, "min")
    if unit == "B":
        return (1 / 1024**3, "GiB") if largest >= 1024**3 else (1 / 1024**2, "MiB")
    if unit == "Hz":
        return 1e-9, "GHz"
    return (100.0, "%") if unit == "share" else (1.0, unit)


_WORN: Mapping[str, Callable[[float], str]] = {
    "s": duration,
    "B": size,
    "share": percent,
    "Hz": lambda value: f"{value / 1e9:.2f} GHz",
}
"""Units that are written beside each value: which one it is depends on the value."""


def _bare(value: float, unit: str) -> str:
    if unit in _WORN:
        return _WORN[unit](value)
    if unit == "tokens":
        return f"{value:,.0f}"
    if unit == "°C":
        return f"{value:.1f}"
    return f"{value:.0f}" if unit == "" and float(value).is_integer() else _three_digits(value)


def _measured(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    if rounded == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{decimals}f}" if decimals > 0 else f"{value:.0f}"
