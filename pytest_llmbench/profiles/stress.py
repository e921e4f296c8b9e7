"""What a machine keeps up: generation without a pause for a set time, watched for heat, throttling and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from pytest_llmbench.bench import Load, Planned, Profile, Stand, Timed
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.profiles.stress_findings import conclude
from pytest_llmbench.records import Repetition

PROMPTS: tuple[str, ...] = (
    "Write a long story about a lighthouse keeper who collects the sounds of storms.",
    "Describe in detail how bread is made, from the field to the table.",
    "Tell the history of a small invented town, decade by decade.",
    "Explain how a sailing boat can travel against the wind, step by step.",
)
"""Short, so that nearly all of the time goes into generating."""

_SILENT = frozenset(
    {
        Category.TIMEOUT_CONNECT,
        Category.TIMEOUT_TTFT,
        Category.TIMEOUT_IDLE,
        Category.TIMEOUT_TOTAL,
        Category.LOCAL_SERVER_HANG,
    }
)
_LIMITS = (
    ("temperature_c", "temperature_limit_c", "the processor is at {0:.0f} °C, the limit is {1:g} °C"),
    ("system_used_share", "memory_limit_share", "{0:.1f} % of the memory is used, the limit is {1:g} %"),
    ("psi_memory_some", "memory_pressure_limit", "tasks wait for memory {0:.0f} % of the time, the limit is {1:g} %"),
)


@dataclass(frozen=True, slots=True)
class StressLoad(Load):
    """Requests one after the other until the time is over."""

    seconds: float = 1800.0
    """How long requests are sent; the last one is read to its end."""
    concurrency: int = 1
    """Requests under way at once; our server gets as many slots."""
    output_tokens: int = 128
    """Of each request, fixed where the server allows it. Safety is looked at after each: with many tokens seldom."""
    prompts: tuple[str, ...] = PROMPTS
    """Asked in turn; short, so that nearly all of the time goes into generating."""
    window_s: float | None = None
    """Speed is read over windows of this length. None: a sixtieth of the time, from 1 to 30 s."""
    temperature_limit_c: float = 95.0
    """At this temperature the load is ended."""
    memory_limit_share: float = 0.97
    """The load is ended when so much of the machine's memory is used, by whomever."""
    memory_pressure_limit: float = 0.5
    """The load is ended when tasks wait for memory for this share of the time (Linux pressure-stall information)."""
    warmup: int = 1
    """Requests sent first and thrown away."""

    def __post_init__(self) -> None:
        if not self.prompts or any(not isinstance(p, str) or not p.strip() for p in self.prompts):
            raise UsageError("prompts must be at least one text, none of them empty")
        for name in ("seconds", "concurrency", "output_tokens", "temperature_limit_c"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is more than 0, not {getattr(self, name)}")
        for name in ("memory_limit_share", "memory_pressure_limit"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share from 0 to 1, not {getattr(self, name)}", hint="0.97 is 97 %")
        window_s = self.window_s
        if window_s is None:
            window_s = min(30.0, max(1.0, self.seconds / 60), self.seconds)
        if not 0 < window_s <= self.seconds:
            raise UsageError(f"window_s is more than 0 and at most seconds ({self.seconds:g}), not {window_s}")
        object.__setattr__(self, "window_s", window_s)


def drive(stand: Stand, load: StressLoad) -> Iterator[Timed]:
    """Generate until the time is over or going on would not be safe; the last repetition says why it was ended."""
    if stand.owned and (stand.slots or 1) < load.concurrency:
        stand = stand.served_with(slots=load.concurrency)
    stand.warm_up(_planned(0, load), load.warmup)
    last = -1
    try:
        for each in _generating(stand, load):
            last = max(last, each.repetition.index)
            yield each
    except InfraError as error:
        if error.category is Category.MEASUREMENT_INVALID or last < 0:
            raise
        yield _broken(_planned(last + 1, load), stand, error)


def _generating(stand: Stand, load: StressLoad) -> Iterator[Timed]:
    until_s = stand.elapsed_s() + load.seconds
    with closing(stand.ask_all(_requests(stand, load, until_s), concurrency=load.concurrency)) as timed:
        for each in timed:
            reason = unsafe(stand.latest(), load)
            yield each.scored(labels={"aborted": reason}) if reason else each
            if reason:
                return


def _requests(stand: Stand, load: StressLoad, until_s: float) -> Iterator[Planned]:
    index = 0
    while stand.elapsed_s() < until_s:
        yield _planned(index, load)
        index += 1


def _planned(index: int, load: StressLoad) -> Planned:
    return Planned(index, 0, load.prompts[index % len(load.prompts)], load.output_tokens)


def _broken(planned: Planned, stand: Stand, error: InfraError) -> Timed:
    """The request under which the server failed: kept, so that the measurement itself says how it ended."""
    reason = "the server did not respond any more" if error.category in _SILENT else "the server failed"
    labels = {"aborted": f"{reason} ({error.category}): {error.message}", "error": str(error.category)}
    repetition = Repetition(planned.index, 0, planned.text, {}, labels=labels, at_s=stand.elapsed_s())
    request = ChatRequest(stand.name, ({"role": "user", "content": planned.text},), max_tokens=planned.output_tokens)
    return Timed(repetition, request, None)


def unsafe(readings: Mapping[str, float], load: StressLoad) -> str:
    """Why going on would not be safe; empty where nothing speaks against it, or nothing can be read.

    Args:
        readings: the newest sample of the system monitor.
        load: with its limits.
    """
    for name, limit, told in _LIMITS:
        value, allowed = readings.get(name), getattr(load, limit)
        if value is not None and value >= allowed:
            percent = 1 if name == "temperature_c" else 100
            return told.format(value * percent, allowed * percent)
    return ""


STRESS = Profile(
    "stress",
    StressLoad,
    drive,
    conclude,
    rated=("sustained_tps", "temperature_c", "memory_share"),
    resumable=False,
    needs=lambda load: {"slots": load.concurrency},
)
