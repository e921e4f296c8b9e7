"""The JSON Schema of a line of the request log, made from the table of its fields."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.observe.log_fields import EVENTS, EVERY, FIELDS_OF, VERSION, LogField


def schema() -> dict[str, Any]:
    """A schema that every line fulfils; fields that it does not name may stand beside the others."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of pytest-llmbench's request log, version {VERSION}",
        "oneOf": [_of_event(event) for event in EVENTS],
    }


def _of_event(event: str) -> dict[str, Any]:
    properties = {each.name: _of_field(each) for each in FIELDS_OF[event]}
    properties["v"] = {"const": VERSION}
    properties["event"] = {"const": event}
    return {
        "type": "object",
        "title": event,
        "description": EVENTS[event],
        "properties": properties,
        "required": [each.name for each in EVERY],
    }


def _of_field(each: LogField) -> dict[str, Any]:
    choices = {"enum": list(each.choices)} if each.choices else {}
    return {"type": each.type, "description": each.meaning, **choices}
