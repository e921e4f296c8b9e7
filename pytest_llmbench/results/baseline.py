"""A baseline: what later runs are compared with, small enough to be committed.

Of a use case it keeps how each sample ended, of a measurement its values round by round; no prompt, no reply. Times of
a use case's calls are not kept: calls that are asked together share the provider's hour, and say little of a model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Host, Measurement, Outcome, Record, Run
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.calls import Batch, Calls
from pytest_llmbench.results.machine_class import machine_class
from pytest_llmbench.results.robustness import is_clean
from pytest_llmbench.results.use_cases import named

FORMAT = "llmbench-baseline"
FORMAT_VERSION = 1

_MOST_A_ROUND = 200
"""Values of one metric in one round; of more, evenly spaced ones of the sorted are kept."""
_DIGITS = 6
_NOT_KEPT = frozenset({"token_logprob"})
"""One value a token of a set text."""


class SampleRow(NamedTuple):
    """How one sample ended; a line of the file."""

    content: str
    """Hash of its input and expected answer."""
    outcome: str
    passed: bool | None
    value: float | None
    cost_usd: str | None
    """Decimal text; None: not known."""
    document: str = ""
    """Which document it is about, where several samples share one: its value of the column `document`."""
    advised: bool = False
    """Whether judges had a say that only advise."""


@dataclass(frozen=True, slots=True)
class CaseBaseline(Record):
    """One model on one use case."""

    use_case: str
    page: str
    model: str
    """With the prompt's variant, as reports name it."""
    prompt_version: str
    samples: Mapping[str, Sequence[Any]]
    """Sample's id → the fields of a `SampleRow`."""

    def rows(self) -> dict[str, SampleRow]:
        """Sample's id → how it ended; samples that were skipped are not among them."""
        return {sample: SampleRow(*told) for sample, told in self.samples.items()}


@dataclass(frozen=True, slots=True)
class MeasuredBaseline(Record):
    """One measurement of one model."""

    model: str
    profile: str
    load: str
    """Hash of what was sent."""
    subject: Mapping[str, Any]
    """What served: the model file's hash, the engine's build, the server's settings."""
    metrics: Mapping[str, Sequence[Sequence[float]]]
    """Metric → its values, a list a round."""
    scalars: Mapping[str, float]
    """Metrics measured once."""
    dirty: int = 0
    """Repetitions that were timed while others used the machine."""
    repetitions: int = 0
    """All of them; 0: as many as there are values."""

    @property
    def timed(self) -> int:
        """How many repetitions there were."""
        counts = (sum(map(len, rounds)) for rounds in self.metrics.values())
        return self.repetitions or max(counts, default=0)


@dataclass(frozen=True, slots=True)
class Machine(Record):
    """Where it was run."""

    name: str
    """The machine's class, see `machine_class`."""
    cpu: str = ""
    cores: int | None = None
    memory_bytes: int | None = None
    gpus: Sequence[str] = ()
    os: str = ""


@dataclass(frozen=True, slots=True)
class Baseline(Record):
    """An accepted run, or one that is compared as if it were."""

    run: str
    started_at: str
    branch: str | None
    git_revision: str | None
    machine: Machine
    versions: Mapping[str, str] = field(default_factory=dict)
    blessed_at: str = ""
    """ISO 8601, UTC; empty: a run that nobody has blessed."""
    forced: str = ""
    """Why it was refused, where it was blessed all the same."""
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Model → metric → by which part two measurements of the same thing differ on this machine, where it was known."""
    use_cases: tuple[CaseBaseline, ...] = ()
    measurements: tuple[MeasuredBaseline, ...] = ()

    @cached_property
    def id(self) -> str:
        """The first 12 characters of the SHA-256 of its content."""
        told = json.dumps(self.as_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def of_run(run: Run) -> Baseline:
    """What a run has for later ones to be compared with."""
    run = run.current()
    told = run.environment
    return Baseline(
        run=run.id,
        started_at=run.started_at,
        branch=told.get("branch"),
        git_revision=told.get("git_revision"),
        machine=machine_of(run.host),
        versions=dict(told.get("versions") or {}),
        use_cases=tuple(_cases(run)),
        measurements=tuple(map(of_measurement, run.measurements)),
    )


def machine_of(host: Host) -> Machine:
    """The facts that tell one machine from another."""
    memory = [each for each in (host.container_memory_bytes, host.memory_bytes) if each]
    return Machine(
        machine_class(host),
        host.cpu_model,
        host.logical_cores,
        min(memory, default=None),
        tuple(gpu.name for gpu in host.gpus),
        host.os,
    )


def of_measurement(measurement: Measurement) -> MeasuredBaseline:
    """A measurement's values, round by round."""
    load = {name: value for name, value in measurement.settings.items() if name != "subject"}
    names = dict.fromkeys(name for repetition in measurement.asked for name in repetition.metrics)
    rounds = {name: _rounds(measurement, name) for name in names if name in METRICS and name not in _NOT_KEPT}
    return MeasuredBaseline(
        model=measurement.model,
        profile=measurement.profile,
        load=hashlib.sha256(json.dumps(load, sort_keys=True).encode()).hexdigest()[:12],
        subject=_subject(measurement.settings.get("subject") or {}),
        metrics={name: values for name, values in rounds.items() if values},
        scalars={name: _short(value) for name, value in measurement.scalars.items() if math.isfinite(value)},
        dirty=sum(bool(repetition.dirty) for repetition in measurement.asked),
        repetitions=len(measurement.asked),
    )


def _subject(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Without the port of a server on this machine, which is another every time."""
    told = {name: value for name, value in identity.items() if value not in (None, "", [], ())}
    if urlsplit(str(told.get("url", ""))).hostname in {"127.0.0.1", "localhost", "::1"}:
        del told["url"]
    return told


def _rounds(measurement: Measurement, metric: str) -> list[list[float]]:
    rounds: defaultdict[int, list[float]] = defaultdict(list)
    for repetition in measurement.asked:
        value = repetition.metrics.get(metric)
        if value is not None and math.isfinite(value):
            rounds[repetition.round].append(_short(value))
    return [_thinned(rounds[number]) for number in sorted(rounds)]


def _thinned(values: list[float]) -> list[float]:
    if len(values) <= _MOST_A_ROUND:
        return values
    ordered, step = sorted(values), (len(values) - 1) / (_MOST_A_ROUND - 1)
    return [ordered[round(place * step)] for place in range(_MOST_A_ROUND)]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _cases(run: Run) -> Iterable[CaseBaseline]:
    calls = Calls(run)
    for case in by_case(run.results):
        groups: dict[tuple[str, str], list[Asked]] = {}
        for asked in filter(is_clean, case):
            groups.setdefault((asked.model, asked.found.prompt), []).append(asked)
        for (model, prompt), group in groups.items():
            found = group[0].found
            rows = {asked.found.sample: _row(asked, calls) for asked in group if asked.outcome != Outcome.SKIPPED}
            yield CaseBaseline(found.use_case, found.page, named(model, prompt), found.prompt_version, rows)


def _row(asked: Asked, calls: Calls) -> SampleRow:
    batch = Batch(asked.reply_ids, asked.test_keys)
    cost = calls.cost_of(batch)
    value = None if asked.value is None else _short(asked.value)
    told = None if cost is None else str(cost.normalize())
    found = asked.found
    document = str(found.slices.get("document", ""))
    return SampleRow(found.content, asked.outcome, asked.passed, value, told, document, found.advised)
