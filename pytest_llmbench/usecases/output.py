"""What a use case's model is to answer with: text, JSON with a schema, or a table with named columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_llmbench.config import confined, strict_yaml
from pytest_llmbench.config.strict_yaml import KeyPath, dotted
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.questions import json_items
from pytest_llmbench.usecases.front_matter import OutputDef
from pytest_llmbench.usecases.page import Page
from pytest_llmbench.validators.schemas import schema_of

Kind = Literal["text", "json", "csv"]


@dataclass(frozen=True, slots=True)
class Output:
    """The form of an answer."""

    kind: Kind = "text"
    schema: Mapping[str, Any] | None = None
    """JSON Schema of a reply."""
    truth_schema: Mapping[str, Any] | None = None
    """JSON Schema of an expected answer, which may leave out more than a reply may."""
    columns: tuple[str, ...] = ()
    """The heads of a table."""
    enforced: bool = False
    """Whether the server is asked to keep to the schema."""

    @property
    def variables(self) -> dict[str, str]:
        """What a prompt may put where it says `{{schema}}` or `{{columns}}`."""
        found = {"schema": json.dumps(self.schema, indent=2, ensure_ascii=False)} if self.schema is not None else {}
        return {**found, **({"columns": ",".join(self.columns)} if self.columns else {})}


def output_of(said: OutputDef, page: Page) -> Output:
    """The form that a front matter declares.

    Raises:
        ConfigError: the schema is none, or its file cannot be read; with file and line.
    """
    schema = _schema(said.json_schema, page)
    kind: Kind = said.kind or ("json" if schema is not None else "csv" if said.columns else "text")
    return Output(kind, schema, schema, tuple(said.columns), said.enforced)


def _schema(said: str | Mapping[str, Any] | None, page: Page) -> Mapping[str, Any] | None:
    if said is None:
        return None
    path: KeyPath = ("output", "schema")
    schema = _from_file(said, page) if isinstance(said, str) else said
    for below, reason in schema_faults(schema):
        if isinstance(said, str):
            raise page.error(path, f"{said}: {dotted(below)}: {reason}" if below else f"{said}: {reason}")
        raise page.error((*path, *below), reason)
    try:
        schema_of(schema)  # what check_schema lets through: no end, formats that cannot be checked
    except ValueError as error:
        raise page.error(path, f"{f'{said}: ' if isinstance(said, str) else ''}the schema {error}") from None
    return schema


def schema_faults(schema: Any) -> Iterator[tuple[KeyPath, str]]:
    """Why something is no JSON Schema that we use: where in it, and what is wrong."""
    from jsonschema import validators  # noqa: PLC0415  only use cases with a schema pay for it
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    if not isinstance(schema, dict):
        yield (), "a JSON Schema is a mapping"
        return
    try:
        validators.validator_for(schema, default=validators.Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        yield tuple(error.absolute_path), f"is no JSON Schema: {error.message:.200}"
    for path, target in _references(schema, ()):
        if not target.startswith("#"):
            yield path, f"refers to {target:.100}, which lies outside: only references that begin with # are followed"


def _references(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """All `$ref` of a schema."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(below, str):
                yield (*path, key), below
            else:
                yield from _references(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _references(below, (*path, index))


def _from_file(said: str, page: Page) -> Any:
    try:
        file = confined.file_inside(page.file.parent, said)
    except ValueError as error:
        raise page.error(("output", "schema"), str(error)) from None
    return _parsed(file)


def _parsed(file: Path) -> Any:
    if file.suffix.lower() in {".yaml", ".yml"}:
        return strict_yaml.read(file, strict_yaml.shown(file)).data
    try:
        return json_items.value(file)
    except UsageError as error:
        raise ConfigError(error.message, hint=error.hint) from None
