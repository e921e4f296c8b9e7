"""The dates that a text mentions, whole or in part: `12 March 2026`, `March 12`, `2026-03-12`, `12.03.2026`, `3月5日`.

`03/04/2026` is read both ways. Names of months are known in English, German, French, Spanish, Italian, Portuguese and
Dutch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_NAMES = """
january jan januar janner janvier janv enero ene gennaio gen janeiro januari
february feb februar fevrier fevr fev febrero febbraio fevereiro februari
march mar marz maerz mars marzo marco maart mrt
april apr avril avr abril abr aprile
may mai mayo maggio mag maio mei
june jun juni juin junio giugno giu junho
july jul juli juillet juil julio luglio lug julho
august aug aout agosto ago augustus
september sep sept septembre septiembre settembre set setembro
october oct oktober okt octobre octubre ottobre ott outubro out
november nov novembre noviembre novembro
december dec dezember dez decembre diciembre dic dicembre dezembro
"""
_MONTHS = {name: number for number, line in enumerate(_NAMES.strip().splitlines(), 1) for name in line.split()}
_ACCENTS = {"e": "eéè", "a": "aä", "u": "uû", "c": "cç", "o": "oô"}


def _accented(name: str) -> str:
    return "".join(f"[{_ACCENTS[letter]}]" if letter in _ACCENTS else letter for letter in name)


_MONTH = "|".join(_accented(name) for name in sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:1[0-9]|20|21)\d\d"
_DATE = re.compile(
    rf"""(?<![\w/.-])(?:
      (?P<iso_year>\d{{4}})(?P<between>[-/.])(?P<iso_month>\d{{1,2}})(?P=between)(?P<iso_day>\d{{1,2}})(?!\d)
    | (?P<one>\d{{1,2}})(?P<mark>[./-])(?P<two>\d{{1,2}})(?P=mark)(?P<end>\d{{4}}|\d{{2}})(?!\d)
    | (?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er|º|°)?\s{{1,3}}(?:of\s|de\s)?(?P<month>{_MONTH})\b\.?
        (?:,?\s{{1,3}}(?:de\s|del\s)?(?P<year>{_YEAR})\b(?![-/.]\d))?
    | (?P<named>{_MONTH})\b\.?\s{{1,3}}(?:
        (?P<named_day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s{{1,3}}(?P<named_year>{_YEAR})\b(?![-/.]\d))?
      | (?P<only_year>{_YEAR})\b )
    | (?:(?P<cjk_year>\d{{4}})年)?(?P<cjk_month>\d{{1,2}})月(?:(?P<cjk_day>\d{{1,2}})日)?
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_LONE_YEAR = re.compile(rf"(?<![\w.,/-]){_YEAR}(?![\w/]|[.,]\d)")


@dataclass(frozen=True, slots=True)
class Day:
    """A date, or what is told of it."""

    year: int | None
    month: int
    day: int | None


@dataclass(frozen=True, slots=True)
class Mention:
    """A date as it stands in a text."""

    shown: str
    readings: tuple[Day, ...]
    start: int
    end: int


class Told:
    """What a text tells of dates, made ready for many questions."""

    def __init__(self, text: str) -> None:
        days = {day for mention in dates(text) for day in mention.readings}
        self._parts = {
            (year, day.month, number) for day in days for year in (day.year, None) for number in (day.day, None)
        }
        self._yearless = {(None, day.month, number) for day in days if day.year is None for number in (day.day, None)}
        self._years = years(text)

    def has(self, day: Day) -> bool:
        """Whether the text tells all of a date; a year that its date leaves open may stand anywhere in the text."""
        elsewhere = day.year in self._years and (None, day.month, day.day) in self._yearless
        return elsewhere or (day.year, day.month, day.day) in self._parts


def dates(text: str) -> Iterator[Mention]:
    """The dates of a text, in order; what looks like one and is none (`45.13.2026`) is left out."""
    for found in _DATE.finditer(text):
        readings = tuple(day for day in _readings(found) if _is_possible(day))
        if readings:
            yield Mention(found[0].strip(), readings, found.start(), found.end())


def years(text: str) -> frozenset[int]:
    """The years that stand in a text, alone or in a date."""
    alone = (int(year[0]) for year in _LONE_YEAR.finditer(text))
    dated = (day.year for mention in dates(text) for day in mention.readings if day.year is not None)
    return frozenset([*alone, *dated])


def without_dates(text: str) -> str:
    """The text with a space in place of each date."""
    kept, place = [], 0
    for mention in dates(text):
        kept.append(text[place : mention.start])
        place = mention.end
    return " ".join([*kept, text[place:]])


def _readings(found: re.Match[str]) -> Iterator[Day]:
    part = found.groupdict()
    if part["iso_year"]:
        yield Day(int(part["iso_year"]), int(part["iso_month"]), int(part["iso_day"]))
    elif part["one"]:
        yield from _either_way(int(part["one"]), int(part["two"]), part["end"])
    elif part["month"]:
        yield Day(_number(part["year"]), _month(part["month"]), int(part["day"]))
    elif part["named"]:
        year = _number(part["named_year"] or part["only_year"])
        yield Day(year, _month(part["named"]), _number(part["named_day"]))
    else:
        yield Day(_number(part["cjk_year"]), int(part["cjk_month"]), _number(part["cjk_day"]))


def _either_way(one: int, two: int, end: str) -> Iterator[Day]:
    for year in (int(end),) if len(end) == 4 else (2000 + int(end), 1900 + int(end)):
        yield Day(year, two, one)
        if one != two:
            yield Day(year, one, two)


def _is_possible(day: Day) -> bool:
    return 1 <= day.month <= 12 and (day.day is None or 1 <= day.day <= 31)


def _month(name: str) -> int:
    plain = unicodedata.normalize("NFD", name.lower())
    return _MONTHS["".join(letter for letter in plain if not unicodedata.combining(letter))]


def _number(text: str | None) -> int | None:
    return int(text) if text else None
