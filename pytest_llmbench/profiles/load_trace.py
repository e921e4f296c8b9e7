"""Recorded traffic to be replayed: when each request came, and how many tokens it had.

A request log of ours is read as it is, see `load_log`. Other traces have the fields of Mooncake's: `timestamp` in
milliseconds, `input_length` and `output_length` in tokens (Qin et al. 2025, Mooncake, FAST '25); others are read over.
A file is `.jsonl`, an object a line, or `.csv` with a head line. It holds no text: prompts are prose of its lengths.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.profiles.load_log import Arrival, arrivals_of, is_log

FIELDS = ("timestamp", "input_length", "output_length")
_HINT = (
    'a line is {"timestamp": milliseconds, "input_length": tokens, "output_length": tokens}, or a row of such columns'
)
MOST_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded requests in the order of their arrival."""

    name: str
    sha256: str
    """Of the file: what makes two replays the same load, wherever it lies."""
    arrivals: tuple[Arrival, ...]


def read_trace(path: Path) -> Trace:
    """The trace of a file, its times counted from the first request.

    Raises:
        UsageError: the file cannot be read, is empty or too long, or a line is not of that form; it is named.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the trace {path}: {error}", hint=_HINT) from error
    lines = list(_csv_lines(path, text) if path.suffix == ".csv" else _json_lines(path, text))
    if lines and is_log(lines[0][1]):
        found = arrivals_of(path, lines)
    else:
        found = [_arrival(where, fields) for where, fields in lines]
    found.sort(key=lambda arrival: arrival.at_s)
    if not 1 <= len(found) <= MOST_REQUESTS:
        raise UsageError(f"the trace {path} has {len(found)} requests, it needs 1 to {MOST_REQUESTS}", hint=_HINT)
    begun_s = found[0].at_s
    arrivals = tuple(dataclasses.replace(each, at_s=each.at_s - begun_s) for each in found)
    return Trace(path.name, hashlib.sha256(raw).hexdigest(), arrivals)


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines, is_of_log = text.splitlines(), False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            if is_of_log and number == len(lines) and not text.endswith("\n"):
                return  # a process was killed as it wrote
            raise UsageError(f"{where}: no JSON ({error})", hint=_HINT) from error
        if not isinstance(told, dict):
            raise UsageError(f"{where}: not an object but {type(told).__name__}", hint=_HINT)
        is_of_log = is_of_log or is_log(told)
        yield where, told


def _csv_lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines())
    try:
        for row in reader:
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: no CSV ({error})", hint=_HINT) from error


def _arrival(where: str, fields: Mapping[Any, Any]) -> Arrival:
    timestamp_ms, input_tokens, output_tokens = (_number(where, fields, name) for name in FIELDS)
    for name, tokens in (("input_length", input_tokens), ("output_length", output_tokens)):
        if tokens < 1 or tokens != int(tokens):
            raise UsageError(f"{where}: {name} must be a whole number of tokens, 1 or more, not {tokens:g}", hint=_HINT)
    return Arrival(timestamp_ms / 1000, int(input_tokens), int(output_tokens))


def _number(where: str, fields: Mapping[Any, Any], name: str) -> float:
    told = fields.get(name)
    if told is None:
        known = [str(field) for field in fields if field is not None]
        raise UsageError(
            f"{where}: no {name}; it has {', '.join(known) or 'nothing'}{did_you_mean(name, known)}", hint=_HINT
        )
    try:
        value = math.nan if isinstance(told, bool) else float(told)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {name} is no number: {told!r:.80}", hint=_HINT)
    return value
