"""Numbers: read as people write them in English, compared exactly.

`12`, `12.`, `$12`, `12 apples`, `12,000`, `−12`, `3/4`, `1½`, `1.2e3` and `12 million` are numbers. `1.200` is one and
a fifth: a dot is a decimal point. What looks like a number and is none (`12,5`, `1.200.000`, `12:30`, `1/2/2026`,
`5^2`) counts as an answer that is not the expected one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import chain

from pytest_llmbench.validators.final_answer import Found, denied, extract
from pytest_llmbench.validators.reply_text import folded, one_form, why_nothing
from pytest_llmbench.validators.verdict import Expected, Verdict, differs, right, wrong

_TOKEN = re.compile(
    r"""(?<![\w^])(?<!\w\.)(?<![^\W\d_]-)
    (?P<sign>-(?=[$£€]?\.?\d))? [$£€]?
    (?P<body> (?:\d{1,9}[ ](?=\d{1,9}/\d))? \.?\d(?:[\d.,]*\d)? (?:[eE][-+]?\d+)? (?:[ ]?[/:]\d+)* )
    (?P<power>[ ]?\^)?
    (?:[ ]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|k)\b)?""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,2})?")
_FRACTION = re.compile(r"(?:(\d{1,9}) )?(\d{1,9}) ?/(\d{1,9})")
_SCALES = {"hundred": 100, "dozen": 12, "thousand": 10**3, "k": 10**3, "million": 10**6, "billion": 10**9}
_SCALES["trillion"] = 10**12
_REMARK = re.compile(r"\([^()]*\)")
_ARITHMETIC = "0123456789.,+-*/×÷·x()$£€ "
_UNIT_WORDS = 3
"""Words that may stand behind a number on a line that is nothing but an answer: `12 apples`, `12 km per hour`."""
_MAX_LENGTH = 40
"""Longer numbers are no answers; turning a million digits into a number takes minutes."""


def score(reply: str, expected: Expected) -> Verdict:
    """Whether the reply's one number is the expected one, within the tolerance that the check names."""
    extraction = extract(reply, _read, _read_line)
    if extraction.several:
        return wrong(f"several different answers: {' and '.join(map(repr, extraction.several))}")
    if extraction.found is None:
        return wrong(why_nothing(reply))
    value, wanted = extraction.found.value, number(expected.answer)
    if isinstance(value, Fraction) and wanted is not None and abs(value - wanted) <= _tolerance(expected):
        return right(extraction.found.shown)
    return differs(extraction.found.shown, expected.answer)


def defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    if number(expected.answer) is None:
        return f"the answer {expected.answer!r} is not a number"
    tolerance = number(expected.argument or "0")
    if tolerance is None or tolerance < 0:
        return f"the tolerance {expected.argument!r} is not a number from 0 up (`number:0.01`)"
    return ""


def number(text: str) -> Fraction | None:
    """The number that a text is; None where it is not one."""
    text = one_form(text)
    found = _TOKEN.fullmatch(text)
    value = _value(found) if found else None
    return value if isinstance(value, Fraction) else None


def _tolerance(expected: Expected) -> Fraction:
    return number(expected.argument or "0") or Fraction(0)


def _read(text: str) -> Iterator[Found]:
    """The numbers a text gives; those of a remark in brackets only where there are no others."""
    text = "\n".join(_conclusion(line) for line in text.splitlines())
    outside = _numbers(_REMARK.sub(" ", text))
    first = next(outside, None)
    yield from _numbers(text) if first is None else chain([first], outside)


def _numbers(text: str) -> Iterator[Found]:
    for token in _TOKEN.finditer(text):
        if not denied(text, token.start()):
            yield Found(_value(token), token[0].strip())


def _read_line(line: str) -> Found | None:
    """The number of a line such as `12`, `= 12` or `$12 per week`; else None."""
    line = _conclusion(line).lstrip("=≈ ").strip("*")
    token = _TOKEN.match(line)
    if token is None:
        return None
    words = line[token.end() :].split(maxsplit=_UNIT_WORDS + 1)
    if len(words) > _UNIT_WORDS or any(character.isdigit() for word in words for character in word):
        return None
    return Found(_value(token), token[0].strip())


def _conclusion(line: str) -> str:
    """The line with sums that are worked out in it (`5 + 7 = 12`) replaced by what they come to."""
    *sums, last = line.split("=")
    kept = []
    for part in sums:
        before = part.rstrip(_ARITHMETIC)
        is_sum = len(re.findall(r"[\d.,]+", part[len(before) :])) > 1
        kept.append(f"{before} " if is_sum else f"{part}=")
    return "".join([*kept, last])


def _value(token: re.Match[str]) -> Fraction | str:
    """The token's number; its text where it is none."""
    value = None if token["power"] or len(token["body"]) > _MAX_LENGTH else _unsigned(token["body"])
    if value is None:
        return folded(token[0])
    return value * _SCALES.get(token["scale"] or "", 1) * (-1 if token["sign"] else 1)


@lru_cache(1024)
def _unsigned(body: str) -> Fraction | None:
    if fraction := _FRACTION.fullmatch(body):
        whole, over, under = (int(part or 0) for part in fraction.groups())
        return whole + Fraction(over, under) if under else None
    return Fraction(body.replace(",", "")) if _PLAIN.fullmatch(body) else None
