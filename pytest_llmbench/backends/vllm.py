"""vLLM: its version and largest context, and by how much its counters and histograms grew beside a measurement.

The names are those of "Production Metrics" and "Metrics" of its documentation (docs/usage/metrics.md,
docs/design/metrics.md). Counters and histograms only rise, so a difference is true whoever else reads them; of the
gauges only the requests under way are read, before and after, as a sign of others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.backends.exposition import Exposition, growth
from pytest_llmbench.clients.decoded import count
from pytest_llmbench.clients.vllm_api import VllmApi
from pytest_llmbench.records import Measurement, Table

_REQUESTS = ("vllm:request_success_total",)
_QUERIES = ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total")
_HITS = ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
_PREEMPTIONS = ("vllm:num_preemptions_total",)
_CACHE = "vllm:cache_config_info"
_CACHED = 0.05
"""What a chat template puts before every prompt is found in a cache; more than that is said."""


@dataclass(frozen=True, slots=True)
class _Mean:
    """A histogram whose mean over a measurement is told."""

    title: str
    names: tuple[str, ...]


_MEANS = (
    _Mean("time in the queue", ("vllm:request_queue_time_seconds",)),
    _Mean("time to first token", ("vllm:time_to_first_token_seconds",)),
    _Mean("prompt processing", ("vllm:request_prefill_time_seconds",)),
    _Mean("decoding", ("vllm:request_decode_time_seconds",)),
    _Mean("time per output token", ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")),
    _Mean("whole request", ("vllm:e2e_request_latency_seconds",)),
)
"""All of a request as the engine sees it: arrival there to the last token."""


class Vllm(Backend):
    """See `Backend`."""

    KIND = "vllm"
    TITLE = "vLLM"
    SAME = ("version", "source", "max_context")
    _before: Exposition | None = None

    @property
    def _api(self) -> VllmApi:
        return VllmApi(lambda: self.endpoint, self.deadlines)

    def describe(self) -> None:
        self.details["version"] = self.ask("its version", self._api.version)
        card = self.ask("the model's details", self._api.card) or {}
        self.details |= {"max_context": count(card.get("max_model_len")), "source": str(card.get("root") or "")}

    def begin(self) -> None:
        super().begin()
        self._before = self._read()
        if self._before is not None:
            cache = self._before.labels(_CACHE)
            self.details["kv_type"] = cache.get("cache_dtype", "")
            self.details["prefix_caching"] = cache.get("enable_prefix_caching", "")
            self._tell_others("when the measurement began", self._before)

    def end(self, measurement: Measurement, sent: int) -> None:  # noqa: ARG002 - its counters tell of all requests
        before, after = self._before, self._read()
        if before is None or after is None:
            return
        requests = growth(before, after, *_REQUESTS)
        if requests is None:
            self.notes.append("vLLM's counters fell or are not there (started anew?): they tell nothing of this load")
            return
        self._count(lambda *names: growth(before, after, *names), requests, sent)
        self._tell_others("when it ended", after)

    def _count(self, grown: Callable[..., float | None], requests: float, sent: int) -> None:
        queries, hits, preempted = grown(*_QUERIES), grown(*_HITS), grown(*_PREEMPTIONS)
        rows: list[tuple[str, float | str | None]] = []
        for mean in _MEANS:
            value = _mean(grown, mean.names)
            rows.append((mean.title, value))
            if mean is _MEANS[0] and value is not None:
                self.scalars["queue_s"] = value
        if queries and hits is not None:
            self.scalars["cached_share"] = hits / queries
            self._tell_cached(hits / queries)
        if preempted is not None:
            self.scalars["preemptions"] = preempted
        note = f"means over {requests:.0f} requests, warm-ups included, from the counters before and after"
        title = "What vLLM tells of these requests"
        self.tables.append(Table("told_by_server", title, ("part", "mean"), ("", "s"), tuple(rows), note=note))
        if requests > sent:
            others = f"{requests - sent:.0f} of {requests:.0f} requests that vLLM answered meanwhile were not ours"
            self.notes.append(f"{others}: the speeds are those of a shared server")

    def _tell_cached(self, share: float) -> None:
        if share > _CACHED:
            self.notes.append(f"{share:.0%} of the prompt tokens came from vLLM's cache: prompts were quicker for it")

    def _read(self) -> Exposition | None:
        told = self.ask("its counters", self._api.exposition)
        return None if told is None else Exposition(told, self.endpoint.model_id)

    def _tell_others(self, when: str, seen: Exposition) -> None:
        running, waiting = seen.value("vllm:num_requests_running"), seen.value("vllm:num_requests_waiting")
        if running or waiting:
            self.notes.append(f"{running or 0:.0f} requests ran and {waiting or 0:.0f} waited in vLLM {when}: not ours")


def _mean(grown: Callable[..., float | None], names: tuple[str, ...]) -> float | None:
    total, requests = (grown(*(f"{name}_{part}" for name in names)) for part in ("sum", "count"))
    return total / requests if total is not None and requests else None
