"""Guards against what a reply made up: numbers, names, dates and time stamps that the source does not contain.

The source is the sample's document and what the user asked. Guards tell what they cannot find; they do not tell whether
what they find is put together rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators import calendar_dates, figures, names, time_marks
from pytest_llmbench.validators.known_numbers import KnownNumbers, without_times
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.reply_text import one_form
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, rated, unscored

_SHOWN = 20
"""Inventions that a score tells by name."""
_LONG = 80
_LARGE = 13
"""From here on a number that is spelled out counts as one: `one of the three points` tells no number."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a reply mentions of one kind, and what of it the source does not."""

    mentioned: int
    invented: tuple[str, ...]
    unknown: str = ""
    """Why nobody can tell; empty where one can."""
    turned: frozenset[str] = frozenset()
    """Those of the invented that the source has with the other sign."""
    aside: str = ""
    """What else nobody looked at, and why."""


Guard = Callable[[str, str], Claims]
"""Of a reply and its source."""


def numbers(reply: str, source: str, *, exact: bool = False, sums: bool = False) -> Claims:
    """Numbers and codes.

    A rounded number is the number it was rounded from, unless `exact`. One whose sign is another than the source's is
    made up, where both are certain. With `sums` so may be computed: two of the source's numbers, or all of them.
    """
    known = KnownNumbers(source, exact=exact, sums=sums)
    rest = without_times(reply)
    spelled = (each for each in figures.spelled(rest) if each.readings[0] >= _LARGE)
    claimed = [*figures.figures(rest), *spelled]
    invented = [figure for figure in claimed if not known.has(figure)]
    turned = frozenset(figure.shown for figure in invented if known.has_opposite(figure))
    return Claims(len(claimed), tuple(dict.fromkeys(figure.shown for figure in invented)), turned=turned)


def dates(reply: str, source: str) -> Claims:
    """Dates: day, month and year as far as the reply tells them; one that the source tells in part is made up."""
    told = calendar_dates.Told(one_form(source))
    claimed = list(calendar_dates.dates(one_form(reply)))
    invented = [each.shown for each in claimed if not any(map(told.has, each.readings))]
    return Claims(len(claimed), tuple(dict.fromkeys(invented)))


def people_and_things(reply: str, source: str) -> Claims:
    """Names, told by their capital letters."""
    if reply.strip() and not names.has_capitals(reply):
        return Claims(0, (), "names cannot be told in a script without capital letters")
    mentioned = names.Mentioned(source)
    claimed = dict.fromkeys(names.names(reply))
    return Claims(len(claimed), tuple(dict.fromkeys(each.shown for each in claimed if not mentioned.has(each))))


def time_stamps(reply: str, source: str, *, tolerance_s: float = 1.0) -> Claims:
    """Time stamps outside the time that the source's own time stamps cover."""
    told = [mark for span in time_marks.spans(source) for mark in (span.start_s, span.end_s) if mark is not None]
    claimed = [
        (span, mark) for span in time_marks.spans(reply) for mark in (span.start_s, span.end_s) if mark is not None
    ]
    if not told and claimed:
        return Claims(len(claimed), tuple(dict.fromkeys(time_marks.shown(mark) for _, mark in claimed)))
    low, high = min(told, default=0) - tolerance_s, max(told, default=0) + tolerance_s
    invented = [time_marks.shown(mark) for _, mark in claimed if not low <= mark <= high]
    return Claims(len(claimed), tuple(dict.fromkeys(invented)))


def _guard(kind: str, count: Guard, allowed: Sequence[str]) -> Scorer:
    """A scorer: the share of what the reply mentions that the source mentions, too; passes where that is all."""
    free = frozenset(each.casefold() for each in allowed)

    def judge(material: Material) -> Score:
        if not material.answer:
            return unscored("the reply is empty")
        claims = count(material.answer, f"{material.source}\n{material.input_text}")
        if claims.unknown:
            return unscored(claims.unknown)
        return _score(kind, claims, [each for each in claims.invented if each.casefold() not in free])

    def faults(material: Material) -> list[str]:
        """An expected answer that the guard itself would refuse."""
        if not isinstance(material.expected, str):
            return []
        found = judge(material.with_reply(material.expected))
        return [f"the expected answer itself fails: {found.reason}"] if found.passed is False else []

    return Plain(judge, faults)


def _score(kind: str, claims: Claims, invented: Sequence[str]) -> Score:
    aside = f"; {claims.aside}" if claims.aside else ""
    details = {"not_looked_at": claims.aside} if aside else {}
    if not claims.mentioned:
        return rated(1.0, True, f"the reply mentions no {kind}{aside}", **details)
    if not invented:
        told = f"the source has every {kind} of the reply ({claims.mentioned})"
        return rated(1.0, True, f"{told}{aside}", invented=[], **details)
    share = 1 - min(len(invented), claims.mentioned) / claims.mentioned
    named = [each if len(each) <= _LONG else f"{each[:_LONG]}…" for each in invented[:_SHOWN]]
    more = f" and {len(invented) - _SHOWN} more" if len(invented) > _SHOWN else ""
    turned = [each for each in invented if each in claims.turned][:_SHOWN]
    other = f"; with another sign there: {', '.join(map(repr, turned))}" if turned else ""
    reason = f"not in the source: {', '.join(map(repr, named))}{more}{other}{aside}"
    return rated(share, False, reason, invented=named, mentioned=claims.mentioned, **details)


def _parser(kind: str, count: Callable[..., Claims], options: Mapping[str, type]) -> Callable[[Any, Where], Scorer]:
    def parse(argument: Any, where: Where) -> Scorer:
        given = dict(keys_of(argument, where, {"allow": list, **options}))
        allowed = [str(each) for each in given.pop("allow", [])]
        if given.get("tolerance_s", 0) < 0:
            raise where.at("tolerance_s").error("must be 0 or more seconds")
        return _guard(kind, lambda reply, source: count(reply, source, **given), allowed)

    return parse


_KINDS: Mapping[str, tuple[str, Callable[..., Claims]]] = {
    "numbers": ("number", numbers),
    "names": ("name", people_and_things),
    "dates": ("date", dates),
    "timestamps": ("time stamp", time_stamps),
}


def _parse_all(argument: Any, where: Where) -> Scorer:
    given = keys_of(argument, where, {"allow": list, "only": list, "sums": bool})
    chosen = given.get("only", list(_KINDS))
    if not chosen or any(kind not in _KINDS for kind in chosen):
        raise where.at("only").error(f"must be a list of some of {', '.join(_KINDS)}")
    allowed = [str(each) for each in given.get("allow", [])]
    guards = dict(_KINDS) | {"numbers": ("number", partial(numbers, sums=given.get("sums", False)))}
    *kinds, last = [guards[one][0] for one in chosen]
    kind = " and ".join(filter(None, [", ".join(kinds), last]))
    return _guard(kind, lambda reply, source: _together([guards[one][1](reply, source) for one in chosen]), allowed)


def _together(found: Sequence[Claims]) -> Claims:
    """What all guards found; unknown where none of them can tell anything."""
    unknown = "; ".join(dict.fromkeys(claims.unknown for claims in found if claims.unknown))
    return Claims(
        sum(claims.mentioned for claims in found),
        tuple(each for claims in found for each in claims.invented),
        unknown if all(claims.unknown for claims in found) else "",
        frozenset().union(*(claims.turned for claims in found)),
        unknown,
    )


TABLE: tuple[Validator, ...] = (
    Validator(
        "grounded",
        "no number, name, date or time stamp that the source does not contain",
        _parse_all,
        {"only": ["numbers", "dates"], "allow": ["24/7"]},
        measure="value",
        settles=True,
    ),
    Validator(
        "grounded-numbers",
        "no number or code that the source does not contain; rounding is allowed, unless `exact`, and with `sums` the "
        "sum or difference of two of its numbers, and the sum of all",
        _parser("number", numbers, {"exact": bool, "sums": bool}),
        {"exact": True, "sums": True, "allow": ["100"]},
        measure="value",
        settles=True,
    ),
    Validator(
        "grounded-names",
        "no name that the source does not contain, told by capital letters",
        _parser("name", people_and_things, {}),
        {"allow": ["Europe"]},
        measure="value",
        settles=True,
    ),
    Validator(
        "grounded-dates",
        "no date that the source does not contain",
        _parser("date", dates, {}),
        {"allow": ["1 January 2026"]},
        measure="value",
        settles=True,
    ),
    Validator(
        "grounded-timestamps",
        "no time stamp outside the time that the source covers",
        _parser("time stamp", time_stamps, {"tolerance_s": float}),
        {"tolerance_s": 2},
        measure="value",
        settles=True,
    ),
)
