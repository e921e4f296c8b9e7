"""The options of a question in another order, and the expected letter with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pytest_llmbench.records import Sample

_COLUMNS = ("options", "choices")
_LINE = re.compile(r"^(?P<lead>[ \t]*\(?)(?P<letter>[A-Z])(?P<mark>[).:]+[ \t]+)(?P<text>\S.*?)[ \t]*$", re.MULTILINE)
_REFERRING = re.compile(
    r"\b(all|none|both|neither|either|any) (of|the)\b|\b(above|below|preceding)\b|\b[A-J] (and|or) [A-J]\b",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"(?P<before>\(?)(?P<letter>[A-Za-z])(?P<after>[).:]?)")
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Order:
    """Which option stands at each place now."""

    options: tuple[str, ...]
    """As they stood before."""
    places: tuple[int, ...]
    """Of each new place: the old one."""

    @property
    def reordered(self) -> list[str]:
        return [self.options[old] for old in self.places]

    def moved(self, old: int) -> int:
        """Where an option stands now."""
        return self.places.index(old)


def reordered(sample: Sample, seed: int, column: str = "") -> Sample | None:
    """The sample with every option at another place, and its expected answer as it is then.

    Args:
        sample: options stand in a column with a list, as lines in its text (`A) ...`), or both.
        seed: decides the order.
        column: the list's; empty: `options` or `choices`.

    Returns:
        None where there are no options, they speak of each other (`all of the above`) or are letters themselves, or
        nobody can tell what the expected answer is then.
    """
    name, listed = _listed(sample, column)
    texts = _texts_of(sample.input)
    lines = next((found for text in texts if (found := _lines(text))), [])
    options = listed or tuple(line["text"] for line in lines)
    if len(options) < _FEWEST or (listed and lines and len(lines) != len(listed)):
        return None
    if any(_REFERRING.search(one) or _LETTERED.fullmatch(one) for one in options) or len(set(options)) < len(options):
        return None
    order = Order(options, _deranged(len(options), Random(seed)))
    known, expected = _expected(sample.expected, order)
    if not known:
        return None
    columns = {**sample.metadata, **({name: order.reordered} if listed else {})}
    changed = _in_messages(sample.input, order) if lines else sample.input
    columns = {key: changed if cell == sample.input and lines else cell for key, cell in columns.items()}
    return replace(sample, input=changed, expected=expected, metadata=columns)


def _listed(sample: Sample, column: str) -> tuple[str, tuple[str, ...]]:
    """(the column with the options, these); nothing where there is none."""
    for name in (column,) if column else _COLUMNS:
        cell = sample.metadata.get(name)
        if isinstance(cell, list | tuple) and all(isinstance(one, str) for one in cell):
            return name, tuple(cell)
    return "", ()


def _texts_of(asked: str | Sequence[Mapping[str, Any]]) -> list[str]:
    if isinstance(asked, str):
        return [asked]
    said = [message.get("content") for message in asked if message.get("role") == "user"]
    content = said[-1] if said else None
    return [content] if isinstance(content, str) else []


def _lines(text: str) -> list[re.Match[str]]:
    """The lines of the options, from A without a gap; nothing where lettered lines are no such list."""
    found = list(_LINE.finditer(text))
    letters = [line["letter"] for line in found]
    return found if len(found) >= _FEWEST and letters == [chr(ord("A") + at) for at in range(len(found))] else []


def _in_messages(asked: Any, order: Order) -> Any:
    if isinstance(asked, str):
        return _in_text(asked, order)
    last = max(place for place, message in enumerate(asked) if message.get("role") == "user")
    return [
        {**message, "content": _in_text(message["content"], order)} if place == last else message
        for place, message in enumerate(asked)
    ]


def _in_text(text: str, order: Order) -> str:
    parts, place, lines = [], 0, _lines(text)
    shown = [line["text"] for line in lines]
    for line, old in zip(lines, order.places, strict=True):
        parts += [text[place : line.start("text")], shown[old]]
        place = line.end("text")
    return "".join([*parts, text[place:]])


def _deranged(count: int, chance: Random) -> tuple[int, ...]:
    """An order in which nothing stands where it stood."""
    order = list(range(count))
    while any(place == old for place, old in enumerate(order)):
        chance.shuffle(order)
    return tuple(order)


def _expected(expected: Any, order: Order) -> tuple[bool, Any]:
    """(whether it is known, the expected answer in the new order)"""
    if isinstance(expected, bool) or expected is None:
        return False, None
    if isinstance(expected, int):
        is_place = 0 <= expected < len(order.options)
        return is_place, order.moved(expected) if is_place else None
    if isinstance(expected, str):
        return _expected_text(expected, order)
    if isinstance(expected, list):
        each = [_expected_text(one, order) if isinstance(one, str) else (False, None) for one in expected]
        return bool(each) and all(known for known, _ in each), [found for _, found in each]
    return False, None


def _expected_text(expected: str, order: Order) -> tuple[bool, str]:
    """A letter is another one then; an option's own text stays."""
    said = expected.strip()
    if said in (option.strip() for option in order.options):
        return True, expected
    found = _LETTERED.fullmatch(said)
    old = ord(found["letter"].upper()) - ord("A") if found else -1
    if found is None or not 0 <= old < len(order.options):
        return False, expected
    letter = chr(ord("A") + order.moved(old))
    return True, f"{found['before']}{letter if found['letter'].isupper() else letter.lower()}{found['after']}"
