"""One of the two that are held against each other: its model, and its measurement, block by block.

A block is a fresh server, one request that is thrown away, and some that count. It is the unit of replication: requests
to one process share that process's luck with memory and cores.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_llmbench import clock, garbage
from pytest_llmbench.bench import Book, Load, Planned, Stand, Timed, measurement_key
from pytest_llmbench.bench.account import Account
from pytest_llmbench.bench.beginning import header
from pytest_llmbench.bench.watch import watched
from pytest_llmbench.benching import cost_of
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Repetition
from pytest_llmbench.serving import ServedModel

PROFILE = "ab"
PROMPT = (
    "A shop sells bread for three coins a loaf and cheese for seven coins a wheel. A customer comes in with fifty "
    "coins and wants to buy as much bread as possible after two wheels of cheese. Say how many loaves that is and why."
)
"""Some 70 tokens with a usual chat template."""
_MOSTLY = 0.5
"""A pair is disturbed where others used the machine during more than this share of its requests."""


@dataclass(frozen=True, slots=True)
class AbLoad(Load):
    """The same request, again and again."""

    requests: int = 3
    """Counted requests of a block."""
    output_tokens: int = 24
    prompt: str = PROMPT
    warmup: int = 1
    """Requests sent to each fresh server first, and thrown away."""
    users: int = 1
    """Requests that are under way at once; of several the block's tokens a second are kept with each."""
    texts: ClassVar[frozenset[str]] = frozenset({"prompt"})

    def __post_init__(self) -> None:
        if self.requests < 1 or self.output_tokens < 2 or self.users < 1:
            raise UsageError("a block needs at least one request and one user, and an answer at least two tokens")


class Side:
    """One side while it is measured.

    Args:
        label: what readers call it.
        model: the model.
        load: what each block asks.
        book: where it is stored.
        owner: tells the two sides apart where they are the same: `a` or `b`.
        profile: what its measurement is stored as.
    """

    def __init__(
        self, label: str, model: ServedModel, load: AbLoad, book: Book, owner: str, *, profile: str = PROFILE
    ) -> None:
        self.label = label
        self.load = load
        self._model = model
        self._book = dataclasses.replace(
            book, retakes=0
        )  # whole pairs are taken again, or one side would have it better
        key = measurement_key(model, profile, load.settings(), book.host_fingerprint, owner)
        found = book.store.find_measurement(book.run_id, key)
        self.is_finished = found is not None and found[1]
        new = dataclasses.replace(header(model, profile, load, book, key), model=label)
        self.measurement = found[0] if found else new
        self._kept = list(self.measurement.counted)
        self._account = Account(self.measurement, self._book)
        self._account.cost_of = cost_of(model)
        self._peak_bytes: int | None = None
        self._loads_s: list[float] = []
        self._unavailable: dict[str, str] = {}

    @property
    def restarts(self) -> bool:
        """Whether its server is ours, and so a fresh one each block."""
        return self._model.server_spec() is not None

    @property
    def model_name(self) -> str:
        """As all measurements of the model name it."""
        return self._model.name

    @property
    def peak_bytes(self) -> int | None:
        """The most memory that a server of it had; None where it cannot be read."""
        known = self.measurement.scalars.get("peak_rss_bytes")
        return self._peak_bytes if known is None else int(known)

    @property
    def build(self) -> str:
        """Of its engine; empty where nobody tells."""
        return str(self._model.identity().get("engine_build", ""))

    def begin(self, *, client_error: Mapping[str, Any], anchor_s: float | None) -> None:
        """Write the measurement's header.

        Args:
            client_error: how far our client is off.
            anchor_s: how long the fixed work takes on this machine.
        """
        self._account.anchor_s = anchor_s
        self.measurement = dataclasses.replace(self.measurement, client_error=client_error)
        self._book.store.start_measurement(self._book.run_id, self.measurement)
        gc.collect()

    def block(self, pair: int, place: int) -> None:
        """Measure one block; each request is stored the moment it is complete.

        Args:
            pair: which pair it belongs to, from 1.
            place: whether it was the first (1) or the second (2) of the pair.

        Raises:
            InfraError: the server failed.
        """
        try:
            with watched(self._account) as watch, garbage.left_alone():
                self._measure(pair, place)
                self._note_server()
            self._unavailable = dict(watch.unavailable)
        finally:
            try:
                self._account.tell()
            finally:
                self._stop()

    def set_aside(self, pair: int) -> None:
        """What was measured of a pair counts no more: it is taken again."""
        aside = [each.index for each in self._kept if each.labels.get("pair") == pair]
        if aside:
            self._book.store.set_aside(self.measurement.id, aside)
            self._kept = [each for each in self._kept if each.index not in set(aside)]

    def pairs(self) -> frozenset[int]:
        """The pairs of which its block is whole."""
        return frozenset(pair for pair, block in self._blocks().items() if len(block) == self.load.requests)

    def begun_pairs(self) -> frozenset[int]:
        """The pairs of which anything was measured."""
        return frozenset(self._blocks())

    def medians(self, metric: str, pairs: Iterable[int]) -> list[float | None]:
        """Of each pair's block, the median of its requests; None where the metric was not measured."""
        blocks = self._blocks()
        return [_median(metric, blocks[pair]) for pair in pairs]

    def seconds(self, pair: int) -> float:
        """About what a stored block took: its requests with the one that was thrown away, and its server's start."""
        asked_s = sum(each.timing.e2e_s or 0.0 for each in self._blocks()[pair])
        load_s = statistics.median(self._loads_s) if self._loads_s else 0.0
        return asked_s * (1 + self.load.warmup / self.load.requests) / self.load.users + load_s

    def dirt(self, pair: int) -> str:
        """Why a block is not to be trusted; empty where most of its requests were undisturbed."""
        block = self._blocks()[pair]
        dirty = [each.dirty for each in block if each.dirty]
        return dirty[0] if len(dirty) > _MOSTLY * len(block) else ""

    def finish(self, sentence: str, notes: Sequence[str]) -> None:
        """Store the measurement as complete.

        Args:
            sentence: what came of it.
            notes: for the reader.
        """
        scalars: dict[str, float] = {}
        if self._loads_s:
            scalars["load_s"] = statistics.median(self._loads_s)
        if self._peak_bytes is not None:
            scalars["peak_rss_bytes"] = self._peak_bytes
        if self._account.anchor_s is not None:
            scalars["anchor_s"] = self._account.anchor_s
        self.measurement = dataclasses.replace(
            self.measurement,
            repetitions=tuple(self._kept),
            scalars=scalars,
            server=self._account.served_by(),
            sentence=sentence,
            notes=(*self.measurement.notes, *self._account.notes, *notes),
            unavailable=self._unavailable,
        )
        self._book.store.finish_measurement(self.measurement)

    def _measure(self, pair: int, place: int) -> None:
        load = self.load
        stand = Stand(self._model, self._account)
        plan = Planned(
            0, pair, load.prompt, load.output_tokens, {"pair": pair, "place": place}, fresh=not self.restarts
        )
        stand.warm_up(plan, load.warmup)
        numbers = range((pair - 1) * load.requests, pair * load.requests)
        plans = [dataclasses.replace(plan, index=number) for number in numbers]
        for timed in map(stand.ask, plans) if load.users == 1 else self._together(stand, plans):
            rss_bytes = stand.rss_bytes()
            self._kept.append(self._account.keep(timed if rss_bytes is None else timed.scored(rss_bytes=rss_bytes)))

    def _together(self, stand: Stand, plans: Sequence[Planned]) -> list[Timed]:
        """Several under way at once; how many tokens a second came of all of them belongs to each."""
        begun_at = clock.monotonic()
        timed = list(stand.ask_all(plans, concurrency=self.load.users))
        spent_s = clock.monotonic() - begun_at
        tokens = [each.repetition.usage.completion_tokens for each in timed]
        if not all(tokens):
            return timed
        return [each.scored(throughput_tps=sum(filter(None, tokens)) / spent_s) for each in timed]

    def _note_server(self) -> None:
        """What can only be read while it lives."""
        if self._account.server.load_s is not None:
            self._loads_s.append(self._account.server.load_s)
        peak = self._account.peak_rss_bytes()
        if peak is not None:
            self._peak_bytes = max(peak, self._peak_bytes or 0)

    def _stop(self) -> None:
        """The next block gets a server that no request has seen, and none stands beside the other side's."""
        if self.restarts:
            self._model.let_go()
            self._model.session.supervisor.shutdown()

    def _blocks(self) -> Mapping[int, list[Repetition]]:
        blocks: defaultdict[int, list[Repetition]] = defaultdict(list)
        for each in self._kept:
            blocks[int(each.labels["pair"])].append(each)
        return blocks


def _median(metric: str, block: Sequence[Repetition]) -> float | None:
    values = [each.metrics[metric] for each in block if metric in each.metrics]
    return statistics.median(values) if values else None
