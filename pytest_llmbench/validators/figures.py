"""The numbers that a text mentions, as any of the ways to read them: `1.200` is 1200 or one and a fifth.

For guards: two texts mention the same number where one reading of each agrees. What is written as a list number, a
citation or a part of a date or time is no number here; a code (`INV-2041`, `GPT-4`) stands for itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from pytest_llmbench.validators.reply_text import one_form
from pytest_llmbench.validators.signs import sign

_TOKEN = re.compile(
    r"""(?<![\w.,])
    (?P<code>[^\W\d_]{1,12}[-_/#.]?\d(?:[\w/-]|[.](?=\w)){0,40})
    | (?<![\w])(?P<body>\d(?:[\d.,']*\d)?)
      (?:(?P<letters>[^\W\d_][\w-]{0,40})|[ ]?(?P<scale>hundred|thousand|million|billion|trillion|bn|m|k)\b)?""",
    re.VERBOSE | re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"^[ \t#>*-]{0,20}\d{1,3}[.)](?=[ \t])", re.MULTILINE)
_CITATION = re.compile(r"\[\d{1,3}(?:[,;\s-]{1,3}\d{1,3}){0,20}\]")
_SCALES = {"hundred": 2, "thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9, "trillion": 12}
_ORDINALS = frozenset({"st", "nd", "rd", "th", "s", "er", "e", "º"})
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: value for value, word in enumerate(_ONES.split())}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS.split(), 2)} | {"dozen": 12, "half": 50}
_SPELLED = re.compile(
    rf"\b({'|'.join(_WORDS)})(?:[ -](one|two|three|four|five|six|seven|eight|nine))?"
    r"(?:[ ](hundred|thousand|million|billion))?\b",
    re.IGNORECASE,
)
_SPACED = re.compile(r"(?<![\w.,])(\d{1,3}(?: \d{3}){1,4})(?:[.,](\d{1,10}))?(?![\w])")
_MOST_DIGITS = 30
"""Longer ones are compared letter by letter: they are codes, and numbers only to a machine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, or code, as it stands in a text."""

    shown: str
    readings: tuple[Decimal, ...] = ()
    """None for a code, which stands for itself."""
    unit: Decimal = Decimal(1)
    """What the last digit shown is worth: 0.1 of `12.3`, 100 000 of `1.2 million`."""
    sign: int = 1
    """-1 below zero, 0 where nobody can tell."""
    text: str = field(default="", compare=False, repr=False)
    """Where it stands, from `start`."""
    start: int = field(default=0, compare=False)


def plain(text: str) -> str:
    """The text in one form; a long dash stands between words and makes no code of them: `cheap—5 euros`."""
    return one_form(text.replace("—", " - "))


def figures(text: str) -> Iterator[Figure]:
    """The numbers and codes of a text, in order."""
    text = _CITATION.sub(" ", _LIST_NUMBER.sub(" ", plain(text)))
    for token in _TOKEN.finditer(text):
        if token["code"]:
            yield Figure(token["code"].rstrip("-/"))
        else:
            is_measured = token["letters"] and token["letters"].lower() not in _ORDINALS | _SCALES.keys()
            yield from _placed(_measured(token) if is_measured else _plain(token), text, token)


def spelled(text: str) -> Iterator[Figure]:
    """The numbers that English words of a text spell: `twelve`, `twenty-five`, `three hundred`."""
    for found in _SPELLED.finditer(text):
        value = Decimal(_WORDS[found[1].lower()] + _WORDS.get((found[2] or "").lower(), 0))
        figure = Figure(found[0], (value.scaleb(_SCALES.get((found[3] or "").lower(), 0)),))
        yield from _placed([figure], text, found)


def spaced(text: str) -> Iterator[Decimal]:
    """The numbers of a text with spaces between their thousands: `4 312,50`. They may be two numbers just as well."""
    for found in _SPACED.finditer(one_form(text)):
        yield Decimal(f"{found[1].replace(' ', '')}.{found[2] or 0}")


def _placed(read: Iterable[Figure], text: str, found: re.Match[str]) -> Iterator[Figure]:
    """With where they stand; a sign goes with the first of a list written without spaces: `-1,2,3`."""
    for place, figure in enumerate(read):
        signed = 1 if place or not figure.readings else sign(text, found.start(), found.end())
        shown = f"-{figure.shown}" if signed < 0 else figure.shown
        yield dataclasses.replace(figure, shown=shown, sign=signed, text=text, start=found.start())


def _measured(token: re.Match[str]) -> Iterator[Figure]:
    """`12kg` is a number with its unit, `4x4` and `3D-12` are codes."""
    if any(letter.isdigit() for letter in token["letters"]):
        yield Figure(token[0])
    else:
        yield from _plain(token)


def _plain(token: re.Match[str]) -> Iterator[Figure]:
    body = token["body"]
    scale = _SCALES.get((token["scale"] or token["letters"] or "").lower(), 0)
    read = _readings(body)
    if read:
        places = max(-int(value.as_tuple().exponent) for value in read)
        yield Figure(token[0].strip(), tuple(value.scaleb(scale) for value in read), Decimal(1).scaleb(scale - places))
    elif "," in body and "." not in body:
        for part in filter(None, body.split(",")):
            yield Figure(part, _readings(part))
    else:
        yield Figure(body)


def _readings(body: str) -> tuple[Decimal, ...]:
    """What a run of digits, dots, commas and apostrophes may mean; nothing where it is no number."""
    if len(body) > _MOST_DIGITS:
        return ()
    candidates = {_grouped(body, *marks) for marks in ((",", "."), (".", ","), ("'", "."), ("'", ","))}
    return tuple(sorted(Decimal(each) for each in candidates if each))


def _grouped(body: str, group: str, point: str) -> str:
    """The digits, where `group` stands between thousands and `point` before decimals; else nothing."""
    whole, _, decimals = body.partition(point)
    first, *groups = whole.split(group)
    well_grouped = not groups or (1 <= len(first) <= 3 and first != "0" and all(len(each) == 3 for each in groups))
    digits = first + "".join(groups)
    if not (well_grouped and digits.isdecimal() and (not decimals or decimals.isdecimal())):
        return ""
    return f"{digits}.{decimals}" if decimals else digits
