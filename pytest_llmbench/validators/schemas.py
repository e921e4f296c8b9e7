"""JSON Schema: by the `jsonschema` package, apart, so that no schema and no reply can hold a run up.

Formats are checked; one that cannot be is an error, not a pass. Nothing is fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.validators import apart
from pytest_llmbench.validators.scorer import Where

LIMIT_S = 2.0


class SchemaTimeoutError(Exception):
    """A value could not be held against a schema in time; the message completes `the schema …`."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that values can be held against; see `schema_of`."""

    text: str
    """As JSON."""

    def problems(self, value: Any, most: int = 20) -> list[str]:
        """What is not as the schema says, each with the path it stands at; empty where all is well.

        Raises:
            SchemaTimeoutError: it took too long.
            ValueError: the schema is none, or cannot be checked; the message completes `the schema …`.
        """
        arguments = {"schema": self.text, "value": json.dumps(value), "most": most}
        try:
            answer = apart.run("cell_schemas:problems", arguments, LIMIT_S)
        except apart.ApartError as error:
            if error.late:
                raise SchemaTimeoutError(f"the schema {error}") from error
            raise ValueError(str(error)) from error
        return list(answer["problems"])


def schema_of(value: Any) -> Schema:
    """The schema that a value is.

    Raises:
        ValueError: it is none, or names what cannot be checked; the message completes `the schema …`.
    """
    schema = Schema(json.dumps(value))
    try:
        schema.problems(None)
    except SchemaTimeoutError as error:
        raise ValueError(f"cannot be checked: {error}") from error
    return schema


def schema_at(value: Any, where: Where) -> Schema:
    """The schema that is written at a place.

    Raises:
        ConfigError: it is none.
    """
    try:
        return schema_of(value)
    except ValueError as error:
        raise where.error(f"the schema {error}") from error
