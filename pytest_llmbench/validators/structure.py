"""Replies that are to have a structure: JSON, and lists in a given style. The whole reply must have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.validators.reply_text import (
    composed,
    folded,
    one_form,
    why_nothing,
    without_emphasis,
    without_reasoning,
)
from pytest_llmbench.validators.verdict import Expected, Verdict, right, wrong

STYLES = ("comma", "lines", "bullets", "numbered")
FENCE = re.compile(r"```(?:json)?[ \t\r]*\n(.*)\n?```", re.DOTALL | re.IGNORECASE)
_BULLET = re.compile(r"[-*•] +(.*)")
_NUMBER = re.compile(r"(\d{1,4})[.)] +(.*)")


def score_json(reply: str, expected: Expected) -> Verdict:
    """Whether the reply is JSON and nothing else, equal to the answer.

    The order of keys does not count, the type of values does: `1` is not `"1"`, `true` is not `1`. One Markdown fence
    around it all is allowed, except by `json:bare`.
    """
    text = without_reasoning(reply).strip()
    fenced = FENCE.fullmatch(text)
    if fenced and expected.argument == "bare":
        return wrong("a Markdown fence stands around the JSON", text)
    if not text:
        return wrong(why_nothing(reply))
    try:
        value = strict_json.parse(fenced[1] if fenced else text)
    except ValueError as error:
        return wrong(f"the reply is not JSON and nothing else: {error}", text)
    same = same_json(value, strict_json.parse(expected.answer))
    return right(text) if same else wrong("the JSON is not the expected one", text)


def json_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    if expected.argument not in ("", "bare"):
        return f"`json:{expected.argument}` is not known; there are `json` and `json:bare`"
    try:
        strict_json.parse(expected.answer)
    except ValueError as error:
        return f"the answer is not JSON: {error}"
    return ""


def score_list(reply: str, expected: Expected) -> Verdict:
    """Whether the reply is the expected items, in their order and in the style of the check."""
    return _score_items(reply, expected, in_order=True)


def score_set(reply: str, expected: Expected) -> Verdict:
    """Whether the reply is the expected items, each once, in any order and in the style of the check."""
    return _score_items(reply, expected, in_order=False)


def list_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    if expected.argument not in STYLES:
        return f"a list has one of the styles {', '.join(STYLES)} (`list:comma`), not {expected.argument!r}"
    try:
        items = answer_items(expected.answer)
    except ValueError as error:
        return f"the answer is not a list: {error}"
    return "" if items and all(map(folded, items)) else "the answer has an empty item"


def plain_list(expected: Expected) -> str:
    """The expected answer as a reply in the style of the check."""
    items = answer_items(expected.answer)
    if expected.argument == "comma":
        return ", ".join(items)
    lead = {"lines": "", "bullets": "- "}
    lines = (f"{lead.get(expected.argument, f'{place}. ')}{item}" for place, item in enumerate(items, 1))
    return "\n".join(lines)


def answer_items(answer: str) -> list[str]:
    """The items of an answer: a JSON list of texts, or texts between commas.

    Raises:
        ValueError: it begins like a JSON list and is none.
    """
    if not answer.lstrip().startswith("["):
        return [item.strip() for item in answer.split(",")]
    items = strict_json.parse(answer)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("a JSON list of texts is wanted")
    return items


def _score_items(reply: str, expected: Expected, *, in_order: bool) -> Verdict:
    text = one_form(without_emphasis(without_reasoning(reply)))
    if not text:
        return wrong(why_nothing(reply))
    items = _items(text, expected.argument)
    if items is None:
        return wrong(f"not a list in the style {expected.argument!r}", text)
    given, wanted = [folded(item) for item in items], [folded(item) for item in answer_items(expected.answer)]
    same = given == wanted if in_order else sorted(given) == sorted(wanted)
    return right(text) if same else wrong("not the expected items", text)


def _items(text: str, style: str) -> list[str] | None:
    """The items of a reply; None where it does not have the style all through."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if style == "comma":
        return lines[0].split(",") if len(lines) == 1 else None
    if style == "lines":
        return lines
    return _bulleted(lines) if style == "bullets" else _numbered(lines)


def _bulleted(lines: Sequence[str]) -> list[str] | None:
    bullets = [_BULLET.fullmatch(line) for line in lines]
    return [bullet[1] for bullet in bullets if bullet] if all(bullets) else None


def _numbered(lines: Sequence[str]) -> list[str] | None:
    """Items numbered from 1 on, without a gap."""
    numbers = [_NUMBER.fullmatch(line) for line in lines]
    items = [number[2] for place, number in enumerate(numbers, 1) if number and int(number[1]) == place]
    return items if len(items) == len(lines) else None


def same_json(given: Any, wanted: Any) -> bool:
    """Equal in value and type; whole numbers and decimals are one type, as in JSON, and so are Unicode's forms of é."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        return given.keys() == wanted.keys() and all(same_json(given[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(given, list):
        return len(given) == len(wanted) and all(map(same_json, given, wanted))
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    if isinstance(given, str) and isinstance(wanted, str):
        return given == wanted or composed(given) == composed(wanted)
    return bool(given == wanted)
