"""What a server's own figures and earlier measurements add to an estimate of its memory. Standard library only."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.servers.memory import MIB, MemoryEstimate

ENOUGH = 5
"""Servers that must have been measured before their estimates are corrected."""
LOWEST, HIGHEST = -0.05, 0.5
"""Limits of a correction, as shares of the estimate it is applied to. An estimate is for a full context and most
measurements fill less, so it is hardly lowered: `engines.MARGIN` makes up for the lowest."""
FAR_OFF = 0.10
"""A peak so much above its estimate is told in the report."""

_BUFFER = re.compile(r"\b(model|KV|RS|compute) buffer size =\s+(\d+\.\d+) MiB")
_PARTS = {"model": "model", "KV": "context", "RS": "context", "compute": "compute"}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The memory that a server says it has allocated."""

    model_bytes: int
    context_bytes: int
    compute_bytes: int


@dataclass(frozen=True, slots=True)
class Observation:
    """A server that was measured."""

    process: tuple[Any, ...]
    """What tells it from other servers: pid and start."""
    estimate_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What the servers of one engine build needed on one machine beyond their estimates."""

    residual_bytes: int
    """The median of peak − estimate."""
    servers: int
    """How many were measured."""

    def bytes_for(self, estimate_bytes: int) -> int:
        """What to add to this estimate, within the limits."""
        return int(min(max(self.residual_bytes, LOWEST * estimate_bytes), HIGHEST * estimate_bytes))


def correction(observations: Iterable[Observation]) -> Correction | None:
    """The median residual; None below five servers.

    Several measurements of one server are one observation, with the highest peak. A minority of nonsense does not move
    a median, and `Correction.bytes_for` limits what a majority can do.
    """
    peaks: dict[tuple[Any, ...], Observation] = {}
    for seen in observations:
        if seen.estimate_bytes > 0 and seen.peak_bytes > 0:
            peaks[seen.process] = max(seen, peaks.get(seen.process, seen), key=lambda each: each.peak_bytes)
    if len(peaks) < ENOUGH:
        return None
    return Correction(int(statistics.median(p.peak_bytes - p.estimate_bytes for p in peaks.values())), len(peaks))


def learned(
    measured: Iterable[tuple[Mapping[str, Any], Mapping[str, float]]], engine: str, build: str
) -> Correction | None:
    """The correction for an engine's build, from servers and scalars as measurements of one machine hold them."""
    of_build = [each for each in measured if (each[0].get("engine"), each[0].get("build")) == (engine, build)]
    seen = (observation(server, scalars) for server, scalars in of_build)
    return correction(each for each in seen if each is not None)


def observation(server: Mapping[str, Any], scalars: Mapping[str, float]) -> Observation | None:
    """What a stored measurement says of its server; None where it was not told or not estimated."""
    estimated, peak = server.get("estimated_bytes"), scalars.get("peak_rss_bytes")
    if not isinstance(estimated, int) or not isinstance(peak, int | float):
        return None
    return Observation((server.get("pid"), server.get("started_at")), estimated, int(peak))


def surprise(estimate_bytes: int | None, peak_bytes: float | None) -> list[str]:
    """Notes for the report: one where a server needed far more than was estimated."""
    if not estimate_bytes or peak_bytes is None or peak_bytes <= (1 + FAR_OFF) * estimate_bytes:
        return []
    peak, expected = f"{peak_bytes / MIB:.0f} MiB", f"{estimate_bytes / MIB:.0f} MiB"
    return [
        f"the server needed {peak} of memory, {peak_bytes / estimate_bytes - 1:.0%} more than estimated ({expected})"
    ]


def calibrate(estimate: MemoryEstimate, told: Breakdown) -> MemoryEstimate:
    """The estimate with the server's own figures for weights, caches and buffers; the base is not in them."""
    return dataclasses.replace(
        estimate,
        weights_bytes=told.model_bytes,
        kv_bytes=told.context_bytes,
        compute_bytes=told.compute_bytes,
        unknown="",
    )


def breakdown(log: str) -> Breakdown | None:
    """The breakdown in the log of a server that was started with `-lv 4` (embedded: `verbosity = 4`).

    Either its rows (`--log-jsonl` prints them as JSON), or the sizes of the buffers as they are allocated.

    Returns:
        None where the log has neither.
    """
    sizes = _rows(log) or _buffers(log)
    if sizes is None:
        return None
    return Breakdown(*(int(sizes[part] * MIB) for part in ("model", "context", "compute")))


def _rows(log: str) -> dict[str, float] | None:
    """The last breakdown that was printed, summed over host and devices."""
    for line in reversed(log.splitlines()):
        if "fit_memory_breakdown" in line:
            try:
                rows = json.loads(line[line.index("{") :])["data"]["rows"]
                return {part: sum(float(row[part]) for row in rows) for part in ("model", "context", "compute")}
            except (ValueError, KeyError, TypeError):
                continue
    return None


def _buffers(log: str) -> dict[str, float] | None:
    found = _BUFFER.findall(log)
    if not found:
        return None
    sizes = {"model": 0.0, "context": 0.0, "compute": 0.0}
    for name, size in found:
        sizes[_PARTS[name]] += float(size)
    return sizes
