"""The key `corruption:` of a use case's front matter as a pydantic model, of which its JSON Schema is made."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pytest_llmbench.config.strict import Strict


class CorruptionDef(Strict):
    """The samples asked again with damaged input."""

    kinds: list[str | dict[str, Any]] = Field(
        min_length=1,
        description="how, see [corruptions](corruptions.md): a name (typos-10), or a mapping of it to its keys",
    )
    seed: int = Field(default=0, description="another seed, other damage")
    columns: list[str] = Field(
        default=[], description="columns that are damaged in place of the input, for prompts that are made of columns"
    )


def kinds_of_list(value: Any) -> Any:
    """A list stands for a mapping with the key `kinds`."""
    return {"kinds": value} if isinstance(value, list) else value


def list_too(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `kinds_of_list` takes."""
    listed = {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}
    schema["anyOf"] = [*schema["anyOf"], listed]
