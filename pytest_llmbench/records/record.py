"""What all records share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self


class Record:
    """Base of the frozen records: conversion to and from builtin types."""

    def as_dict(self) -> dict[str, Any]:
        """Builtin types only, recursively; tuples become lists."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record from `as_dict`'s form; unknown keys are ignored, so older code reads newer rows."""
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in data.items() if key in known})
