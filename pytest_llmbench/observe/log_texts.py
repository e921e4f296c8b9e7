"""Texts on their way into the request log: without keys, and none longer than what a line should hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.records import Record
from pytest_llmbench.redaction import redact

LONGEST = 1_000_000
"""Characters of one text that are kept; a picture within a message may have more."""

FOREIGN = ("message", "served_model", "finish_reason", "details")
"""Fields that hold what a provider wrote."""


def with_safe_words(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a call or a note; what a provider wrote is without keys and whatever looks like one."""
    for name in FOREIGN:
        if name in fields:
            fields[name] = cleaned(fields[name], redact)
    return fields


def with_safe_content(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked and answered, but for keys and whatever looks like one; `shortened` where it is not whole."""
    cut: list[int] = []

    def clean(text: str) -> str:
        text = redact(text)
        if len(text) > LONGEST:
            cut.append(len(text))
        return text[:LONGEST]

    try:
        found = dict(cleaned(fields, clean))
    except RecursionError:  # nobody asks so by accident
        return {"shortened": True}
    return found | ({"shortened": True} if cut else {})


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """Nested lists, tuples, mappings and records, each text of which went through `clean`, names of fields too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Record):
        return cleaned(value.as_dict(), clean)
    if isinstance(value, Mapping):
        return {clean(str(key)): cleaned(each, clean) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(each, clean) for each in value]
    return value
