"""The smallest value that fits a JSON schema, as far as schemas of answers usually go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def instance_of(schema: Mapping[str, Any], text: str) -> Any:
    """A value of that schema.

    Args:
        schema: of objects, arrays, enums, texts, numbers, truth values and null.
        text: what stands where text is asked for; a number in it, where a number is.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return text if text in schema["enum"] else schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return instance_of(options[0], text)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) else kind, schema, text)


def _of_kind(kind: str, schema: Mapping[str, Any], text: str) -> Any:
    if kind == "object":
        return {name: instance_of(part, text) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance_of(schema.get("items", {}), text)]
    if kind in {"integer", "number"}:
        return int(text) if text.removeprefix("-").isdecimal() else schema.get("minimum", 0)
    return {"boolean": True, "null": None}.get(kind, text)
