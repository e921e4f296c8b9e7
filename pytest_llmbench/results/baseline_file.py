"""The file of a baseline: read and written whole, and refused where it was changed by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmbench.config.kept_file import read_object, write_whole
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import MalformedRecordError
from pytest_llmbench.results.baseline import FORMAT, FORMAT_VERSION, Baseline, SampleRow

_MAX_BYTES = 50_000_000
_AGAIN = "`llmbench baseline bless` writes it anew, or take the file from git again"


def write(path: Path, baseline: Baseline) -> None:
    """Write a baseline in place of what is there.

    Raises:
        ConfigError: it cannot be written.
    """
    content = {"format": FORMAT, "version": FORMAT_VERSION, "id": baseline.id, **baseline.as_dict()}
    write_whole(path, f"{_laid_out(content)}\n")


def read(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        ConfigError: it cannot be read, is no baseline, was changed since it was blessed, or comes from a newer version.
    """
    name = shown(path)
    data = read_object(path, "baseline", most_bytes=_MAX_BYTES, hint=_AGAIN)
    if data.get("format") != FORMAT:
        raise ConfigError(f"{name} is no baseline", hint=_AGAIN)
    if data.get("version") != FORMAT_VERSION:
        raise ConfigError(
            f"{name} is of version {data.get('version')!r:.20} of the format, and this llmbench reads {FORMAT_VERSION}",
            hint=f"use the version of pytest-llmbench that wrote it; or {_AGAIN}",
        )
    try:
        found = Baseline.from_dict(data)
        _check(found)
    except (MalformedRecordError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{name} is no baseline: {error}", hint=_AGAIN) from None
    if found.id != data.get("id"):
        raise ConfigError(
            f"{name} was changed since it was blessed: its content is {found.id}, and it says {data.get('id')!r:.20}",
            hint=f"numbers in it are not to be edited; {_AGAIN}",
        )
    return found


def _check(baseline: Baseline) -> None:
    """What the records do not see to: the kinds of texts, rows and numbers.

    Raises:
        TypeError: something is of another kind.
        ValueError: a number is none.
    """
    texts: list[Any] = [baseline.run, baseline.started_at, baseline.blessed_at, baseline.forced, baseline.machine.name]
    for case in baseline.use_cases:
        texts += [case.use_case, case.page, case.model, case.prompt_version]
        for row in case.rows().values():
            _check_row(row)
    if not all(_is_number(share) for floors in baseline.floors.values() for share in floors.values()):
        raise TypeError("a noise floor is no number")
    for measured in baseline.measurements:
        texts += [measured.model, measured.profile, measured.load]
        numbers = [value for rounds in measured.metrics.values() for values in rounds for value in values]
        if not all(map(_is_number, (*numbers, *measured.scalars.values()))) or not isinstance(measured.subject, dict):
            raise TypeError(f"the measurement of {measured.model!r:.80} holds what is no number")
    if not all(isinstance(text, str) for text in texts) or not isinstance(baseline.branch, str | None):
        raise TypeError("a name in it is no text")


def _check_row(row: SampleRow) -> None:
    texts = (row.content, row.outcome, row.document)
    if not (all(isinstance(text, str) for text in texts) and isinstance(row.passed, bool | None)):
        raise TypeError("a sample's row is none")
    if row.value is not None and not _is_number(row.value):
        raise TypeError("a sample's row holds what is no number")
    if row.cost_usd is not None and not math.isfinite(float(row.cost_usd)):
        raise ValueError("a sample's cost is no number")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _laid_out(value: Any, depth: int = 0) -> str:
    """JSON with a line a sample and a line a round, so that git shows what changed."""
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, Mapping) and any(map(_is_nested, value.values())):
        lines = [f"{inner}{_flat(str(key))}: {_laid_out(each, depth + 1)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, list) and any(map(_is_nested, value)):
        return "[\n" + ",\n".join(f"{inner}{_laid_out(each, depth + 1)}" for each in value) + f"\n{outer}]"
    return _flat(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
