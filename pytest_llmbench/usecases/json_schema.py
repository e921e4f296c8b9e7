"""The JSON Schema of a use case's front matter, for editors; made from the shapes and the table of validators."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.usecases.front_matter import UseCaseDef
from pytest_llmbench.validators.declared import COMMON, NOT
from pytest_llmbench.validators.registry import VALIDATORS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_COMMON = {
    "weight": {"type": "number", "exclusiveMinimum": 0, "description": "how much it counts beside others"},
    "name": {"type": "string", "description": "how reports call it; its own name where left out"},
    "field": {"type": "string", "description": "a dotted path: look at this field of a JSON reply only"},
}


def json_schema() -> dict[str, Any]:
    """The schema, with every validator that is registered by now."""
    schema = {"$schema": _DRAFT, **UseCaseDef.model_json_schema()}
    schema["properties"]["validators"]["items"] = {"$ref": "#/$defs/Validator"}
    schema["$defs"]["Validator"] = _validator()
    return schema


def _validator() -> dict[str, Any]:
    """One item of `validators:`. Names that are registered in Python only are allowed, too."""
    assert set(_COMMON) == set(COMMON)
    properties: dict[str, Any] = {}
    for name, validator in VALIDATORS.items():
        example = {} if validator.example is None else {"examples": [validator.example]}
        properties[name] = {"description": validator.about, **example}
        if not validator.measure or validator.settles:
            properties[f"{NOT}{name}"] = {"description": f"the opposite of {name}", **example}
    by_name = {"enum": list(properties)}
    return {
        "description": "a validator: its name, or a mapping of its name to its argument",
        "anyOf": [
            by_name,
            {"type": "string", "description": "one that is registered in Python"},
            {"type": "object", "minProperties": 1, "properties": {**properties, **_COMMON}},
        ],
    }
