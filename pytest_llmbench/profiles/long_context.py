"""Long documents: contexts of exact sizes, filled with prose in which a fact is hidden.

Each size has a server of its own where the server is ours, so that its memory is that of this context, and the largest
one that works is found by trying. A context of 4096 tokens is a prompt and the room for its answer, filled to the last
token: 4096 tokens are what `--ctx-size 4096` holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_llmbench.bench import Load, Planned, Profile, Stand, Timed
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.profiles import long_context_limits as limits
from pytest_llmbench.profiles.long_context_report import ESTIMATED, conclude, prompt_speed, told_tokens
from pytest_llmbench.profiles.long_context_text import Counting, Estimate, build, riddle_for
from pytest_llmbench.records import Repetition
from pytest_llmbench.stats import StopRule

BEYOND = frozenset(
    {
        Category.CONTEXT_LENGTH,
        Category.LOCAL_OOM,
        Category.LOCAL_REFUSED,
        Category.TIMEOUT_TTFT,
        Category.TIMEOUT_TOTAL,
    }
)
"""How a context fails that is too large, or too slow to wait for."""
WARM_UP_TOKENS = 256
_SEEDS = 1_000_003
"""Seeds of two measurements never give a text twice."""


@dataclass(frozen=True, slots=True)
class LongContextLoad(Load):
    """Each fact depth of each size, one request at a time, from the smallest size to the largest."""

    sizes: tuple[int, ...] = (4096, 8192, 16384, 32768)
    """Contexts, in tokens: the prompt and the room for its answer. What does not fit is left out, with the reason."""
    depths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Where the fact stands: 0 at the beginning of the text, 1 right before the question."""
    rounds: int = 1
    """Each depth of each size is asked for at least so often."""
    most_rounds: int = 3
    """And at most so often, while the prompt speed is not known to `precision`."""
    precision: float = 0.1
    """Enough when the 95 % interval of the median prompt speed, high − low, is no wider than this share of it."""
    cap_s: float = 600.0
    """The longest that requests of one size may take, all together."""
    output_tokens: int = 32
    """The longest answer."""
    seed: int = 0
    """Of texts and facts."""
    warmup: int = 1
    """Short requests sent first to each server, and thrown away."""

    def __post_init__(self) -> None:
        whole = self.sizes and all(isinstance(size, int) and size > self.output_tokens for size in self.sizes)
        _check(whole, "sizes", "whole numbers of tokens, more than the answer has")
        _check(self.depths and all(0 <= depth <= 1 for depth in self.depths), "depths", "shares from 0 to 1")
        _check(1 <= self.rounds <= self.most_rounds, "rounds", "at least 1 and at most most_rounds")
        _check(self.output_tokens >= 1, "output_tokens", "at least 1")
        _check(self.cap_s > 0 and self.precision > 0, "cap_s and precision", "above 0")
        object.__setattr__(self, "sizes", tuple(sorted(set(self.sizes))))
        object.__setattr__(self, "depths", tuple(float(depth) for depth in dict.fromkeys(self.depths)))


def _check(holds: Any, name: str, rule: str) -> None:
    if not holds:
        raise UsageError(f"long_context: {name} must be {rule}")


def drive(stand: Stand, load: LongContextLoad) -> Iterator[Timed]:
    """Read every size that fits, from the smallest on; yields what was not measured before.

    A size that fails for being too large ends the measurement: it and those beyond it are named in the notes.

    Raises:
        InfraError: the server failed in another way, or at the first size.
    """
    limit, got = limits.longest(stand), list(stand.kept)
    if note := limits.no_chat(stand):
        stand.note(note)
    for place, size in enumerate(load.sizes):
        kept = [repetition for repetition in got if repetition.labels["context_tokens"] == size]
        if not kept and (reason := limit.refuses(size) or _too_slow(got, load, size)):
            stand.note(f"a context of {size} tokens was left out: {reason}")
            continue
        try:
            for timed in _one_size(stand, load, place, kept):
                got.append(timed.repetition)
                yield timed
        except InfraError as error:
            if error.category not in BEYOND or not got:
                raise
            stand.note(f"a context of {size} tokens does not work here, none beyond it was tried: {error.message}")
            return


def _one_size(stand: Stand, load: LongContextLoad, place: int, kept: list[Repetition]) -> Iterator[Timed]:
    """Ask, one depth after another, until the stop rule holds or the next request would not be done in time."""
    got, size, reader, reason = list(kept), load.sizes[place], None, ""
    for index, round_, depth in _turns(load, place):
        reason = _enough(load, got) if depth == load.depths[0] else ""
        if reason:
            break
        if index in stand.done:
            continue
        reader = reader or _Reader(stand, load, size, spent_s=sum(map(_time_s, kept)))
        if got and reader.spent_s() + _time_s(got[-1]) > load.cap_s:
            reason = f"stopped after {len(got)} requests, one size may take {load.cap_s:g} s"
            break
        timed = reader.read(index, round_, depth)
        got.append(timed.repetition)
        yield timed
    stand.note(f"{size} tokens: {reason or _enough(load, got)}")
    if reader is not None:
        reader.close()


def _turns(load: LongContextLoad, place: int) -> Iterator[tuple[int, int, float]]:
    """Index, round and depth of every request of a size that may be made."""
    for round_ in range(load.most_rounds):
        for number, depth in enumerate(load.depths):
            yield (place * load.most_rounds + round_) * len(load.depths) + number, round_, depth


def _enough(load: LongContextLoad, got: list[Repetition]) -> str:
    """Why a size needs no further round, in words; empty where it does."""
    depths = len(load.depths)
    rule = StopRule(load.rounds * depths, load.most_rounds * depths, relative_width=load.precision)
    return rule.reason([speed for each in got if (speed := prompt_speed(each)) is not None], 0.0)


def _too_slow(got: list[Repetition], load: LongContextLoad, size: int) -> str:
    """Whether one request of a size would take longer than all of them may, going by the slowest before."""
    paces = [_time_s(each) / int(each.labels["context_tokens"]) for each in got]
    expected_s = max(paces, default=0.0) * size
    if expected_s <= load.cap_s:
        return ""
    return f"to read it once would take {expected_s:.0f} s or more, and one size may take {load.cap_s:g} s"


def _time_s(repetition: Repetition) -> float:
    return repetition.metrics.get("e2e_s", 0.0)


class _Reader:
    """One size, on the stand that serves it.

    Args:
        stand: of the measurement.
        load: its load.
        size: context, in tokens.
        spent_s: what requests of this size took before an interruption.

    Raises:
        InfraError: there is no server of this size, or it failed.
    """

    def __init__(self, stand: Stand, load: LongContextLoad, size: int, *, spent_s: float) -> None:
        self._load, self._size = load, size
        other = stand.owned and stand.context != size
        self._stand = stand.served_with(context=size) if other else stand
        api = self._stand.api()
        self._estimate = Estimate()
        self._count: Counting = self._estimate if api is None else partial(_tokens, api)
        self._is_exact = api is not None
        self._memory = limits.expected_memory(self._stand)
        short = min(WARM_UP_TOKENS, size - load.output_tokens)
        self._stand.warm_up(self._planned(-1, -1, 0.5, short), load.warmup)
        self._begun_s = self._stand.elapsed_s() - spent_s

    def spent_s(self) -> float:
        """On requests of this size."""
        return self._stand.elapsed_s() - self._begun_s

    def read(self, index: int, round_: int, depth: float) -> Timed:
        """Have the context filled, and ask for the fact in it.

        Raises:
            InfraError: the server failed, or the prompt came from a cache.
        """
        planned = self._planned(index, round_, depth, self._size - self._load.output_tokens)
        timed = self._stand.ask(planned)
        assert timed.reply is not None, "a request by itself fails with an error"
        self._compare(timed.repetition)
        fact = riddle_for(self._load.seed, index).fact
        recalled = fact.is_told_by(timed.reply.text, cut_off=timed.reply.finish_reason == "length")
        rss = self._stand.rss_bytes()
        measured = {} if rss is None else {"rss_bytes": float(rss)}
        return timed.scored(labels=self._memory, recall=float(recalled), **measured)

    def close(self) -> None:
        """Give the memory free for the next size."""
        self._stand.let_go()

    def _planned(self, index: int, round_: int, depth: float, tokens: int) -> Planned:
        seed = self._load.seed * _SEEDS + index
        text = build(riddle_for(self._load.seed, index), tokens=tokens, depth=depth, seed=seed, count=self._count)
        labels = {
            "context_tokens": self._size,
            "prompt_tokens": tokens,
            "depth": depth,
            "counted": "exactly" if self._is_exact else "estimated",
        }
        return Planned(
            index,
            round_,
            text,
            self._load.output_tokens,
            labels=labels,
            fresh=not self._is_exact,
            natural=True,
            patience_s=self._load.cap_s,
        )

    def _compare(self, repetition: Repetition) -> None:
        """The count that was asked for with the one that the server tells."""
        asked, told = int(repetition.labels["prompt_tokens"]), told_tokens(repetition)
        if not self._is_exact:
            self._stand.note(ESTIMATED)
            if told:
                self._estimate.learn(repetition.prompt, told)
        elif told is not None and told != asked:
            self._stand.note(f"{self._size} tokens: {told} prompt tokens were processed, {asked} were asked for")


def _tokens(api: LlamaApi, text: str) -> int:
    return api.chat_tokens([{"role": "user", "content": text}])


LONG_CONTEXT = Profile(
    "long_context", LongContextLoad, drive, conclude, rated=("context_load_s", "largest_context", "memory_share")
)
