"""Drive one model with a profile's load → a measurement, every repetition stored the moment it completes."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.metrics import METRICS, call_metrics
from pytest_llmbench.profiles import PROFILES, Load
from pytest_llmbench.profiles.ratings import Step, rate
from pytest_llmbench.records import Measurement, Repetition, Reply, ServerInfo
from pytest_llmbench.servers.monitor import ProcessMeter
from pytest_llmbench.store import Store


class Subject(Protocol):
    """A model that can be measured: an address, and a server whose process can be watched."""

    name: str
    deadlines: http.Deadlines

    def endpoint(self) -> Endpoint: ...

    def server(self) -> ServerInfo: ...

    def identity(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Book:
    """Where a measurement is written, and under which run."""

    store: Store
    run_id: str
    host_fingerprint: str
    keep_prompts: bool = True


def measurement_key(
    subject: Subject, profile: str, settings: Mapping[str, Any], host_fingerprint: str, owner: str
) -> str:
    """Hash of everything that makes two measurements the same question.

    Args:
        subject: the model, with its file's hash and its server's settings.
        profile: the profile's name.
        settings: the load.
        host_fingerprint: the machine.
        owner: empty for a fixture shared by several tests; else the test that asked, so that a test which measures
            twice gets two measurements.
    """
    question = {
        "subject": subject.identity(),
        "profile": profile,
        "settings": settings,
        "host": host_fingerprint,
        "owner": owner,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def measure(
    subject: Subject,
    profile: str,
    load: Load,
    book: Book,
    *,
    owner: str = "",
    ratings: Mapping[str, Sequence[Step]] | None = None,
) -> Measurement:
    """Measure `subject`, or go on where an interrupted measurement of the same run stopped.

    Args:
        subject: what is measured.
        profile: a name of `profiles.PROFILES`.
        load: how much is sent.
        book: where it is stored.
        owner: see `measurement_key`.
        ratings: overrides of the words.

    Returns:
        The measurement, complete and stored; taken from the store where this run already has it.

    Raises:
        InfraError: the server failed, or the measurement is not valid (a prompt came from a cache).
    """
    key = measurement_key(subject, profile, load.settings(), book.host_fingerprint, owner)
    found = book.store.find_measurement(book.run_id, key)
    if found is not None and found[1]:
        return found[0]
    begun = found[0] if found else _header(subject, profile, load, book, key)
    server = subject.server()
    begun = dataclasses.replace(begun, server=server.public())
    book.store.start_measurement(book.run_id, begun)
    finished = _completed(_with_repetitions(subject, begun, load, book), server, resumed=len(begun.repetitions))
    rating = rate(finished, ratings)
    finished = dataclasses.replace(finished, rating=rating.word, sentence=rating.sentence)
    book.store.finish_measurement(finished)
    return finished


def _header(subject: Subject, profile: str, load: Load, book: Book, key: str) -> Measurement:
    return Measurement(
        id=secrets.token_hex(8),
        key=key,
        model=subject.name,
        profile=profile,
        settings={**load.settings(), "subject": dict(subject.identity())},
        host_fingerprint=book.host_fingerprint,
        repetitions=(),
        units={name: metric.unit for name, metric in METRICS.items()},
    )


def _with_repetitions(subject: Subject, begun: Measurement, load: Load, book: Book) -> Measurement:
    timer = _Timer(subject, load.output_tokens)
    repetitions = list(begun.repetitions)
    with _no_collector_pauses():
        for timed in PROFILES[begun.profile](timer, load, {r.index for r in repetitions}):
            stored = _keep(timer.last, timed, begun, book)
            book.store.save_repetition(begun.id, stored)
            repetitions.append(stored)
    return dataclasses.replace(begun, repetitions=tuple(sorted(repetitions, key=lambda r: r.index)))


def _keep(asked: tuple[ChatRequest, Reply], repetition: Repetition, measurement: Measurement, book: Book) -> Repetition:
    if not book.keep_prompts:
        return dataclasses.replace(repetition, prompt="")
    request, reply = asked
    kept = book.store.save_reply(
        book.run_id, f"measurement:{measurement.id}", repetition.index, request.as_dict(), reply
    )
    return dataclasses.replace(repetition, reply_id=kept.id)


def _completed(measurement: Measurement, server: ServerInfo, *, resumed: int) -> Measurement:
    scalars: dict[str, float] = {}
    if server.load_s is not None:
        scalars["load_s"] = server.load_s
    if server.pid is not None and (peak := ProcessMeter(server.pid).peak_rss_bytes()) is not None:
        scalars["peak_rss_bytes"] = peak
    notes = [f"{resumed} repetitions were measured before an interruption"] if resumed else []
    notes += _length_notes(measurement)
    return dataclasses.replace(measurement, scalars=scalars, notes=tuple(notes))


def _length_notes(measurement: Measurement) -> list[str]:
    asked = measurement.settings["output_tokens"]
    got = {repetition.usage.completion_tokens for repetition in measurement.repetitions}
    if got == {asked}:
        return []
    if got == {None}:
        return ["the server tells no token counts: decode speed was not measured"]
    return [f"asked for {asked} output tokens, the server gave {', '.join(map(str, sorted(t for t in got if t)))}"]


class _Timer:
    """Sends one request with a fresh prefix and no cache, and reads clocks around it."""

    def __init__(self, subject: Subject, output_tokens: int) -> None:
        self._subject = subject
        self._output_tokens = output_tokens
        self.last: tuple[ChatRequest, Reply]

    def __call__(self, index: int, round_: int, prompt: str) -> Repetition:
        fresh = f"[{secrets.token_hex(4)}] {prompt}"
        request = ChatRequest(
            model=self._subject.name,
            messages=({"role": "user", "content": fresh},),
            max_tokens=self._output_tokens,
            extra={"cache_prompt": False, "ignore_eos": True},
        )
        server, endpoint = self._subject.server(), self._subject.endpoint()
        meter = ProcessMeter(server.pid) if server.pid is not None else None
        before = meter.cpu_s() if meter else None
        reply = http.run(chat(endpoint, request, self._subject.deadlines))
        after = meter.cpu_s() if meter else None
        _refuse_cached(reply, self._subject.name)
        self.last = request, reply
        metrics = call_metrics(reply.timing, reply.usage) | _cpu_per_token(before, after, reply)
        return Repetition(index, round_, fresh, metrics, timing=reply.timing, usage=reply.usage)


def _refuse_cached(reply: Reply, name: str) -> None:
    cached = int(reply.timing.server.get("cache_n", 0)) or reply.usage.cached_tokens or 0
    if cached:
        raise InfraError(
            f"{name}: the server took {cached} prompt tokens from its cache, so its times are not those of the prompt",
            category=Category.MEASUREMENT_INVALID,
            hint="switch the prompt cache of that server off (llama-server: --no-cache-prompt --cache-ram 0)",
        )


def _cpu_per_token(before: float | None, after: float | None, reply: Reply) -> dict[str, float]:
    processed = reply.timing.server.get("prompt_n") or reply.usage.prompt_tokens
    generated = reply.usage.completion_tokens
    if before is None or after is None or not processed or not generated:
        return {}
    return {"cpu_s_per_token": (after - before) / (processed + generated)}


@contextmanager
def _no_collector_pauses() -> Iterator[None]:
    """Keep Python's garbage collector out of the timed window."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
