"""Holding values against a JSON Schema, as cell.py does it: some schemas take for ever on some values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema
from referencing import Registry

_FORMATS = frozenset(
    {
        *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "regex"),
        *("json-pointer", "relative-json-pointer"),
    }
)
_PROBES: tuple[Any, ...] = ({}, [], "", 0, None)
_SHOWN = 300


def problems(schema: str, value: str, most: int) -> dict[str, Any]:
    """What of a value is not as a schema says: `{"problems": [sentence, ...]}`, both as JSON text.

    Returns:
        `{"refused": sentence, "late": False}` where the schema is none, or cannot be checked; it completes `the schema
        …`.
    """
    try:
        validator = _validator(schema)
    except ValueError as error:
        return {"refused": str(error), "late": False}
    try:
        found = [_sentence(error) for error in islice(validator.iter_errors(json.loads(value)), most)]
    except RecursionError:
        found = ["it is nested too deeply to be checked"]
    return {"problems": found}


@lru_cache(32)
def _validator(schema_text: str) -> Any:
    schema = json.loads(schema_text)
    if not isinstance(schema, dict):
        raise ValueError("must be a mapping")  # noqa: TRY004  one kind of error for all that is wrong with it
    try:
        _refuse(schema)
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        validator = kind(schema, format_checker=_format_checker(kind), registry=Registry())
        for probe in _PROBES:
            next(validator.iter_errors(probe), None)
    except jsonschema.SchemaError as error:
        raise ValueError(f"is not valid: {_sentence(error)}") from error
    except RecursionError:
        raise ValueError("is nested too deeply, or refers to itself without end") from None
    return validator


def _refuse(schema: Any) -> None:
    """What could not be checked: references out of the schema, formats that nobody here knows."""
    keywords = list(_keywords(schema))
    ids = {value for keyword, value in keywords if keyword == "$id" and isinstance(value, str)}
    known = {*jsonschema.Draft202012Validator.FORMAT_CHECKER.checkers, *_READERS}
    for keyword, value in keywords:
        if not isinstance(value, str):
            continue
        if keyword in {"$ref", "$dynamicRef"} and value.partition("#")[0] not in {"", *ids}:
            raise ValueError(f"refers to {value!r}, and nothing is fetched: put it under $defs and write '#/$defs/…'")
        if keyword == "format" and value in _FORMATS - known:
            raise ValueError(f"has the format {value!r}, which needs: pip install 'pytest-llmbench[schemas]'")


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every mapping in a schema, with its value."""
    if isinstance(schema, Mapping):
        for keyword, value in schema.items():
            yield keyword, value
            if keyword not in {"enum", "const", "default", "examples"}:
                yield from _keywords(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _keywords(each)


def _format_checker(kind: Any) -> Any:
    """The draft's format checks, and those besides that the standard library can do."""
    checker = jsonschema.FormatChecker(())
    own = {name: (_reads(read), ValueError) for name, read in _READERS.items()}
    checker.checkers = {**own, **kind.FORMAT_CHECKER.checkers}
    return checker


def _reads(read: Any) -> Any:
    def check(instance: object) -> bool:
        if isinstance(instance, str):
            read(instance)
        return True

    return check


def _date_time(text: str) -> None:
    """As RFC 3339 has it: with minutes, and an offset."""
    if datetime.fromisoformat(text).tzinfo is None or text[10:11] not in {"T", "t", " "} or text[13:14] != ":":
        raise ValueError(text)


def _time(text: str) -> None:
    _date_time(f"2000-01-01T{text}")


_READERS = {"date-time": _date_time, "time": _time}


def _sentence(error: Any) -> str:
    """What is wrong, and where: `lines[0].amount: '7' is not of type 'number'`."""
    at = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error.absolute_path).lstrip(".")
    return f"{at[:_SHOWN]}: {error.message[:_SHOWN]}" if at else str(error.message[:_SHOWN])
