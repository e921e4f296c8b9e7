"""A JSON Schema from an example, as older pages show what is to be answered: `{"severity": "high|medium|low"}`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

_WORD = re.compile(r"\w[\w /.&+-]{0,40}")
_AND_SO_ON = frozenset({"etc", "etc.", "...", "…"})
_KINDS = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def is_schema(value: Any) -> bool:
    """Whether this is a JSON Schema itself, and no example of an answer."""
    if not isinstance(value, dict):
        return False
    is_typed = value.get("type") in _KINDS and any(key in value for key in ("properties", "items", "enum", "required"))
    return "$schema" in value or is_typed


def schema_of(example: Any) -> dict[str, Any]:
    """What replies like this example keep to: all its keys are there, and each has the example's type or is null.

    Args:
        example: as JSON has it. `"high|medium|low"` allows these words and no other.
    """
    if isinstance(example, dict):
        properties = {key: schema_of(value) for key, value in example.items()}
        return {"type": "object", "properties": properties, "required": list(example)}
    if isinstance(example, list):
        return {"type": "array", **({"items": reduce(_of_both, map(schema_of, example))} if example else {})}
    return _schema_of_scalar(example)


def _of_both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What both of two items keep to: of objects the keys that both have are wanted; of unlike things anything."""
    if one == other:
        return one
    if not one.get("type") == other.get("type") == "object":
        return {}
    named, others = one["properties"], other["properties"]
    both = {key: _of_both(named[key], others[key]) for key in named.keys() & others.keys()}
    required = [key for key in one["required"] if key in other["required"]]
    return {"type": "object", "properties": {**named, **others, **both}, "required": required}


def _schema_of_scalar(example: Any) -> dict[str, Any]:
    if isinstance(example, bool):
        return {"type": ["boolean", "null"]}
    if isinstance(example, int | float):
        return {"type": ["number", "null"]}
    if not isinstance(example, str):
        return {}
    words = [word.strip() for word in example.split("|")]
    if len(words) > 1 and all(map(_WORD.fullmatch, words)) and _AND_SO_ON.isdisjoint(words):
        return {"enum": words}
    return {"type": ["string", "null"]}


def of_truths(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What expected answers keep to: they may leave keys out, and have those of inner objects at the top."""
    relaxed: dict[str, Any] = _without_required(schema)
    if "properties" not in relaxed:
        return relaxed
    inner: dict[str, list[Any]] = defaultdict(list)
    for below in relaxed["properties"].values():
        for key, found in _named(below):
            inner[key].append(found)
    raised = {key: found[0] for key, found in inner.items() if len(found) == 1}
    return {**relaxed, "properties": {**raised, **relaxed["properties"]}}


def _without_required(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_required(below) for key, below in value.items() if key != "required"}
    return [_without_required(each) for each in value] if isinstance(value, list) else value


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """The properties of an object and of those in it."""
    for key, below in schema.get("properties", {}).items() if isinstance(schema, dict) else ():
        yield key, below
        yield from _named(below)
