"""What all records share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints


class MalformedRecordError(ValueError):
    """Data that no record can be made of."""


class Record:
    """Base of the frozen records: conversion to and from builtin types."""

    def as_dict(self) -> dict[str, Any]:
        """Builtin types only, recursively; tuples become lists."""
        names = _fields(type(self))  # type: ignore[arg-type]
        return {name: _builtin(getattr(self, name)) for name in names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record from `as_dict`'s form, records inside it too; unknown keys are ignored, so older code reads newer
        rows.

        Raises:
            MalformedRecordError: a field is missing, or not of the form that it is made from.
        """
        readers = _readers(cls)  # type: ignore[arg-type]
        try:
            values = {name: data[name] for name in _given(cls) if name in data}  # type: ignore[arg-type]
            for name, read in readers.items():
                if name in values:
                    values[name] = read(values[name])
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise MalformedRecordError(f"no {cls.__name__} ({error})") from error


@cache
def _fields(record: type[Record]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(record))  # type: ignore[arg-type]


@cache
def _given(record: type[Record]) -> tuple[str, ...]:
    """The fields that one is made from; the others follow from these."""
    return tuple(field.name for field in dataclasses.fields(record) if field.init)  # type: ignore[arg-type]


@cache
def _readers(record: type[Record]) -> Mapping[str, Callable[[Any], Any]]:
    """Field → what makes its value from builtin types, where that is not the value itself."""
    types = get_type_hints(record)
    readers = {name: _reader(types[name]) for name in _given(record)}  # type: ignore[arg-type]
    return {name: read for name, read in readers.items() if read is not None}


def _reader(kind: Any) -> Callable[[Any], Any] | None:
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_dict
    if get_origin(kind) in {Union, UnionType}:
        known = next(filter(None, map(_reader, get_args(kind))), None)
        return None if known is None else _or_none(known)
    if get_origin(kind) in {tuple, Sequence}:
        read = _reader(get_args(kind)[0])
        return tuple if read is None else lambda items: tuple(map(read, items))
    return None


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _builtin(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is tuple or kind is list:
        return [_builtin(each) for each in value]
    if isinstance(value, Record):
        return value.as_dict()
    if kind is dict and all(type(key) is str for key in value):
        return {key: _builtin(each) for key, each in value.items()}
    return json.loads(json.dumps(value, default=_told))


def _told(value: Any) -> Any:
    """For json, which asks about what it does not know."""
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no builtin type")


_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
