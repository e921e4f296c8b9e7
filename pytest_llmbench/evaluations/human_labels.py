"""What people said of a reply, as a cell of a file has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.questions.rows import Place

_VERDICTS = {"pass": "pass", "true": "pass", "fail": "fail", "false": "fail"}
_PREFERENCES = ("a", "b", "tie")


@dataclass(frozen=True, slots=True)
class Column:
    """A cell, and where it stands."""

    row: Mapping[str, Any]
    name: str
    place: Place

    def text(self) -> str:
        """The cell as text.

        Raises:
            UsageError: there is no such column, or nothing in it.
        """
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.place.error(f"the column {self.name!r} is to be a text, not {type(value).__name__}")
        return str(value)

    def value(self) -> Any:
        """The cell as it stands.

        Raises:
            UsageError: as for `text`.
        """
        if self.name not in self.row:
            near = did_you_mean(self.name, list(self.row))
            raise self.place.error(
                f"there is no column {self.name!r}{near}",
                hint=f"columns: {', '.join(map(str, self.row))}; `columns:` says which of them means what",
            )
        value = self.row[self.name]
        if value is None or (isinstance(value, str) and not value.strip()):
            raise self.place.error(f"the column {self.name!r} is empty", hint="leave the row out, or fill it")
        return value


def verdict(cell: Column, pass_from: float | None) -> str:
    """`pass` or `fail`.

    Args:
        cell: `pass`, `fail`, `true`, `false`, or a number.
        pass_from: the number from which it is a pass; None: numbers are not understood.

    Raises:
        UsageError: it is none of these; with file and line.
    """
    value = cell.value()
    word = str(value).strip().lower()
    if word in _VERDICTS:
        return _VERDICTS[word]
    number = _number(word)
    if number is None:
        raise _not_understood(cell, value, "pass, fail, true, false, or a number", word, tuple(_VERDICTS))
    if pass_from is None:
        raise cell.place.error(
            f"{cell.name!r} is the number {word:.20}, and nothing says from which on it is a pass",
            hint="write `pass_from: 4` into the calibration file",
        )
    return "pass" if number >= pass_from else "fail"


def preference(cell: Column) -> str:
    """`a`, `b` or `tie`.

    Raises:
        UsageError: it is none of these; with file and line.
    """
    value = cell.value()
    word = str(value).strip().lower()
    if word not in _PREFERENCES:
        raise _not_understood(cell, value, "a, b or tie", word, _PREFERENCES)
    return word


def _not_understood(cell: Column, value: object, allowed: str, word: str, known: tuple[str, ...]) -> UsageError:
    return cell.place.error(f"{cell.name!r} is {value!r:.40}: it is to be {allowed}{did_you_mean(word, known)}")


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
