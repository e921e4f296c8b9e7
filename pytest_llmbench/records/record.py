"""What all records share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Self, get_args, get_origin, get_type_hints


class MalformedRecordError(ValueError):
    """Data that no record can be made of."""


class Record:
    """Base of the frozen records: conversion to and from builtin types."""

    def as_dict(self) -> dict[str, Any]:
        """Builtin types only, recursively; tuples become lists."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record from `as_dict`'s form, records inside it too; unknown keys are ignored, so older code reads newer
        rows.

        Raises:
            MalformedRecordError: a field is missing, or not of the form that it is made from.
        """
        readers = _readers(cls)  # type: ignore[arg-type]
        try:
            return cls(**{name: read(data[name]) for name, read in readers.items() if name in data})
        except (TypeError, AttributeError) as error:
            raise MalformedRecordError(f"no {cls.__name__} ({error})") from error


@cache
def _readers(record: type[Record]) -> Mapping[str, Callable[[Any], Any]]:
    """Field → what makes its value from builtin types."""
    types = get_type_hints(record)
    return {field.name: _reader(types[field.name]) for field in dataclasses.fields(record)}  # type: ignore[arg-type]


def _reader(kind: Any) -> Callable[[Any], Any]:
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_dict
    if get_origin(kind) in {tuple, Sequence}:
        read = _reader(get_args(kind)[0])
        return lambda items: tuple(map(read, items))
    return lambda value: value
