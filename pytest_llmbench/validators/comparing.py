"""Comparing one value of a JSON reply with the expected one: exactly, as text, as a number, as a date, as a set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from pytest_llmbench.validators.numeric import number
from pytest_llmbench.validators.reply_text import folded
from pytest_llmbench.validators.scorer import Where, is_kind, keys_of
from pytest_llmbench.validators.structure import same_json

Same = Callable[[Any, Any], bool]
"""Whether a given value is as good as the expected one; never raises."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One way to compare values."""

    same: Same
    fits: Callable[[Any], bool] = lambda _value: True
    """Whether an expected value can be compared so."""
    kind: str = ""
    """What it then is: `a number`."""


_DATES = ("%Y/%m/%d", "%d.%m.%Y", "%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y", "%Y%m%d")
"""Beside ISO 8601: forms in which day and month cannot be taken for each other."""


def as_text(given: Any, wanted: Any) -> bool:
    """Equal but for case, space, articles, and punctuation around them; a number may be a text."""
    if same_json(given, wanted) or not (_is_word(given) and _is_word(wanted)):
        return same_json(given, wanted)
    return folded(str(given)) == folded(str(wanted))


def as_set(given: Any, wanted: Any) -> bool:
    """Lists with equal items in any order; texts among them but for case and space."""
    if not (isinstance(given, list) and isinstance(wanted, list)):
        return same_json(given, wanted)
    return sorted(map(_key, given)) == sorted(map(_key, wanted))


def as_number(within: float = 0, relative: float = 0) -> Comparison:
    """Numbers, or texts that are numbers (`$1,200.50`), that differ by no more."""

    def same(given: Any, wanted: Any) -> bool:
        one, other = value_of(given), value_of(wanted)
        if one is None or other is None:
            return same_json(given, wanted)
        return abs(one - other) <= Fraction(str(within)) + Fraction(str(relative)) * abs(other)

    return Comparison(same, lambda value: value_of(value) is not None, "a number")


def as_date(form: str = "") -> Comparison:
    """Texts that are the same day, in ISO 8601 or written out; `form` is one more way to write it, as for strptime."""

    def same(given: Any, wanted: Any) -> bool:
        one, other = _day(given, form), _day(wanted, form)
        return one == other if one and other else same_json(given, wanted)

    return Comparison(same, lambda value: _day(value, form) is not None, "a date whose day and month are certain")


def comparison(argument: Any, where: Where) -> Comparison:
    """What an argument names: `text`, `number`, `{number: 0.01}`, `{relative: 0.02}`, `{date: "%d/%m/%Y"}`.

    Raises:
        ConfigError: it names none.
    """
    if isinstance(argument, str):
        if argument not in PLAIN:
            raise where.error(f"{argument!r} is no comparison (allowed: {', '.join(PLAIN)})")
        return PLAIN[argument]
    keys = keys_of(argument, where, {"number": float, "relative": float, "date": str})
    if len(keys) != 1:
        raise where.error("names one comparison: {number: 0.01}, {relative: 0.02} or {date: '%d/%m/%Y'}")
    if "date" in keys:
        return as_date(_whole_date(keys["date"], where.at("date")))
    if not 0 <= next(iter(keys.values())) < 1e9:
        raise where.error("must be a number from 0 up")
    return as_number(keys.get("number", 0), keys.get("relative", 0))


EXACT = Comparison(same_json)
PLAIN: Mapping[str, Comparison] = {
    "exact": EXACT,
    "text": Comparison(as_text),
    "number": as_number(relative=1e-9),
    "date": as_date(),
    "set": Comparison(as_set, lambda value: isinstance(value, list), "a list"),
}


def value_of(value: Any) -> Fraction | None:
    """The number that a value is, or that its text is; None where it is none."""
    if is_kind(value, float):
        return Fraction(str(value)) if -1e300 < value < 1e300 else None
    return number(value) if isinstance(value, str) and len(value) < 100 else None


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _key(value: Any) -> str:
    """What is equal has the same key: 1 and 1.0 have, 1 and "1" have not."""
    if isinstance(value, str):
        return f"text {folded(value)}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return f"object {sorted((key, _key(each)) for key, each in value.items())}"
    return f"list {list(map(_key, value))}" if isinstance(value, list) else json.dumps(value)


def _day(value: Any, form: str) -> date | None:
    if not isinstance(value, str) or len(value) > 60:
        return None
    text = " ".join(value.replace(",", " ").split())
    for read in (datetime.fromisoformat, *map(_reader, [*filter(None, [form]), *_DATES])):
        try:
            return read(text).date()
        except ValueError:
            continue
    return None


def _whole_date(form: str, where: Where) -> str:
    """A form that tells day, month and year: one without the year would take any year for the right one."""
    day = date(2026, 11, 28)
    try:
        if datetime.strptime(day.strftime(form), form).date() == day:
            return form
    except ValueError as error:
        raise where.error(f"{form!r} is no form of a date: {error}", hint="as for strptime: '%d/%m/%Y'") from error
    raise where.error(f"{form!r} does not tell day, month and year", hint="as for strptime: '%d/%m/%Y'")


def _reader(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)
