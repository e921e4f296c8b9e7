"""Two versions of a prompt side by side, as people read them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any], names: tuple[str, str]) -> list[str]:
    """How two contents differ, as a unified diff without line ends; empty where they do not.

    Args:
        old: as `Prompt.content` tells it.
        new: the other.
        names: what to call them.
    """
    return list(difflib.unified_diff(as_lines(old), as_lines(new), *names, lineterm=""))


def as_lines(content: Mapping[str, Any]) -> list[str]:
    """A prompt's content, a heading and its text for each part."""
    return [line for heading, text in _parts(content) for line in (f"# {heading}", *text.splitlines(), "")]


def _parts(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "system", content.get("system", "")
    yield "template", content.get("template", "")
    if variables := content.get("variables"):
        yield "variables", _pairs(variables)
    if examples := content.get("examples"):
        yield "examples", _pairs(examples)
    for name, variant in content.get("variants", {}).items():
        if variant["models"]:
            yield f"variant {name}: models", "\n".join(variant["models"])
        yield f"variant {name}: system", variant["system"]
        yield f"variant {name}: template", variant["template"]


def _pairs(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(values.items()))
