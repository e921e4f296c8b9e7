"""The numbers that a source tells, made ready to be asked for: by value, by sign, and as sums of each other."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import combinations

from pytest_llmbench.validators import calendar_dates, figures, time_marks
from pytest_llmbench.validators.figures import Figure
from pytest_llmbench.validators.reply_text import one_form
from pytest_llmbench.validators.signs import Ways

_TIME_OF_DAY = re.compile(r"(?<=\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)")
_MOST_SUMMED = 300
"""Numbers of a source: of more of them nearly every number is a sum of two."""


def without_times(text: str) -> str:
    """The text, in one form, without its dates and times, whose parts are no numbers."""
    return time_marks.without_marks(calendar_dates.without_dates(_TIME_OF_DAY.sub(" ", figures.plain(text))))


class KnownNumbers:
    """The numbers of a source.

    Args:
        source: its text.
        exact: a rounded number is not the one it was rounded from.
        sums: the sum or difference of two numbers, and the sum of all of them, is known, too.
    """

    def __init__(self, source: str, *, exact: bool = False, sums: bool = False) -> None:
        self._source = source
        self._exact = exact
        self._sums = sums
        self._ways: dict[str, Ways] = {}
        self._told = [*figures.figures(source), *figures.spelled(source)]
        spaced = set(figures.spaced(source))
        self._signed = sorted(_signed(self._told) | spaced | {-value for value in spaced})
        self._literal = one_form(source).casefold()
        self._years = {Decimal(year) for year in calendar_dates.years(source)}

    def has(self, figure: Figure) -> bool:
        """Whether the source tells a number of a reply, with its sign as far as that is certain; or such a code."""
        if not figure.readings:
            return figure.shown.casefold() in self._literal
        if any(value in self._years for value in figure.readings):
            return True
        if any(
            self._holds(known, value, figure) for known in (self._signed, self._made) for value in _signed([figure])
        ):
            return True
        return self.has_opposite(figure) and self._may_go_either_way(figure)

    def has_opposite(self, figure: Figure) -> bool:
        """Whether the source tells a number of this size with the other sign."""
        return any(self._holds(self._signed, -value, figure) for value in _signed([figure]))

    def _may_go_either_way(self, figure: Figure) -> bool:
        """Whether the one of the two that has no sign has words for it: `-5 %`, and `it fell by 5 %`."""
        if figure.sign < 0:
            return any(self._holds(self._unsigned, value, figure) for value in figure.readings)
        return self._is_told(figure)

    def _is_told(self, figure: Figure) -> bool:
        if figure.text not in self._ways:
            self._ways[figure.text] = Ways(figure.text)
        return self._ways[figure.text].is_told(figure.start)

    def _holds(self, values: Sequence[Decimal], value: Decimal, figure: Figure) -> bool:
        slack = Decimal(0) if self._exact or not value else figure.unit / 2
        place = bisect_left(values, value - slack)
        return place < len(values) and values[place] <= value + slack

    @cached_property
    def _made(self) -> list[Decimal]:
        """Sums and differences of two mentions, and what all make together; dates and times are no terms."""
        rest = without_times(self._source)
        terms = [each for each in (*figures.figures(rest), *figures.spelled(rest)) if each.readings]
        if not self._sums or not 2 <= len(terms) <= _MOST_SUMMED:
            return []
        pairs = {
            made
            for one, two in combinations(terms, 2)
            for first in one.readings
            for second in two.readings
            for made in (first + second, first - second)
        }
        pairs |= {sum((each.readings[at] * (each.sign or 1) for each in terms), Decimal(0)) for at in (0, -1)}
        return sorted(pairs | {-made for made in pairs})

    @cached_property
    def _unsigned(self) -> list[Decimal]:
        """The numbers of which the source says in words that they may be below zero."""
        return sorted({value for each in self._told if self._is_told(each) for value in each.readings})


def _signed(told: Iterable[Figure]) -> set[Decimal]:
    """All readings with their signs; with both where nobody can tell."""
    return {
        value * each_sign
        for each in told
        for value in each.readings
        for each_sign in ((each.sign,) if each.sign else (1, -1))
    }
