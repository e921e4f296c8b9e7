"""Which samples are asked: some of many, the same ones every time, and fewer always among more.

Every sample has a place in a line, decided by the seed and its id alone; a limit takes that many from the line's
beginning. So a choice of 50 lies within one of 500 by construction, in whatever order the data stand.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.records import Sample

MAX_STRATA = 1000
"""A field with more values than that is none to stratify by."""

Weights = Mapping[str, float] | Literal["equal"]


@dataclass(frozen=True, slots=True)
class Stratum:
    """The samples with one value of the field that is stratified by."""

    size: int
    """How many the data hold."""
    drawn: int
    """How many of them were chosen."""

    @property
    def weight(self) -> float:
        """How many samples of the data each chosen one stands for; 0 where none was chosen."""
        return self.size / self.drawn if self.drawn else 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was chosen, in the order of the data."""

    samples: tuple[Sample, ...]
    strata: Mapping[str, Stratum]
    """By the field's value; all under the empty text where nothing is stratified by."""

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which samples of a dataset are asked."""

    limit: int | None = None
    """At most that many."""
    seed: int = 0
    """Another seed, another choice."""
    stratify: str = ""
    """A column, `expected`, or a key inside that (`expected.queue`): each value gets its share of the limit."""
    weights: Weights = field(default_factory=dict)
    """Value → how many times its share of the data it is to have; 1 where not named. `equal`: all values as many, as
    far as the data hold them."""
    ids: tuple[str, ...] = ()
    """Only these samples."""
    failing: Collection[str] | None = None
    """Only samples with these ids: those that failed before. None: all."""

    @property
    def takes_all(self) -> bool:
        """Whether every sample is asked, whatever the data are."""
        return self.limit is None and not self.ids and self.failing is None

    def chosen(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples that are asked, in the order of the data; a stream where there is no limit.

        Raises:
            UsageError: as for `drawn`.
        """
        return self._listed(samples) if self.limit is None else iter(self.drawn(samples))

    def drawn(self, samples: Iterable[Sample]) -> Drawn:
        """The samples that are asked, and what each stands for; of each value no more are held than the limit.

        Raises:
            UsageError: an id or a weighted value is none of the data's, a sample has no such field to stratify by, or
                that has too many values.
        """
        strata: dict[str, _Line] = {}
        for position, sample in enumerate(self._listed(samples)):
            value = value_of(sample, self.stratify)
            if value not in strata:
                if len(strata) == MAX_STRATA:
                    raise _too_many(self.stratify)
                strata[value] = _Line(self.limit)
            strata[value].add(_InLine(_place(self.seed, sample.id), position, sample))
        taken = self._taken(strata)
        drawn = Counter(value_of(each.sample, self.stratify) for each in taken)
        sizes = {value: Stratum(line.size, drawn[value]) for value, line in strata.items()}
        return Drawn(tuple(each.sample for each in sorted(taken, key=lambda each: each.position)), sizes)

    def narrowed(self, **choices: Any) -> Sampling:
        """With what the command line says in place of what the use case says; None leaves a choice as it is."""
        return replace(self, **{name: value for name, value in choices.items() if value is not None})

    def _listed(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Those that are asked for by their ids."""
        if self.failing is not None:
            samples = (sample for sample in samples if sample.id in self.failing)
        return iter(_with_ids(samples, self.ids) if self.ids else samples)

    def _taken(self, strata: Mapping[str, _Line]) -> list[_InLine]:
        """Those whose turn comes within the limit.

        A value's r-th sample (from 0) has its turn at r / share. That is Adams' method of sharing out seats, written as
        one line: every value comes once before any comes twice by more than its share, and a larger limit only ever
        adds. (By largest remainders it would at times take away.)
        """
        shares = self._shares({value: line.size for value, line in strata.items()})
        turns = (
            (rank / shares[value], each) for value, line in strata.items() for rank, each in enumerate(line.sorted())
        )
        if self.limit is None:
            return [each for _, each in turns]
        return [each for _, each in heapq.nsmallest(self.limit, turns)]

    def _shares(self, sizes: Mapping[str, int]) -> Mapping[str, float]:
        if self.weights == "equal":
            return dict.fromkeys(sizes, 1.0)
        weights: Any = self.weights
        if unknown := next((value for value in weights if value not in sizes), None):
            raise UsageError(
                f"no sample has {unknown!r} as its {self.stratify!r}{did_you_mean(unknown, sizes)}",
                hint=f"weights name values that the data have: {', '.join(sorted(sizes)[:20])}",
            )
        return {value: size * weights.get(value, 1.0) for value, size in sizes.items()}


class _InLine(NamedTuple):
    """A sample in the line; compared by its place, then by where it stands in the data."""

    place: int
    position: int
    sample: Sample

    def __lt__(self, other: Any) -> bool:
        return (self.place, self.position) < (other.place, other.position)


class _Line:
    """The first samples of a line, however many join it."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._held: list[tuple[int, int, _InLine]] = []
        """A heap whose first is the last in line."""
        self.size = 0

    def add(self, one: _InLine) -> None:
        self.size += 1
        entry = (-one.place, -one.position, one)
        if self._limit is None or len(self._held) < self._limit:
            heapq.heappush(self._held, entry)
        else:
            heapq.heappushpop(self._held, entry)

    def sorted(self) -> list[_InLine]:
        return sorted(one for _, _, one in self._held)


def _place(seed: int, id_: str) -> int:
    content = f"{seed}\n{id_}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def value_of(sample: Sample, name: str) -> str:
    """What a sample has in a field, as text: a column, `expected`, or a key inside that; empty where `name` is.

    Raises:
        UsageError: it has no such field.
    """
    if not name:
        return ""
    first, *keys = name.split(".") if name not in sample.metadata else [name]
    found: Any = sample.expected if first == "expected" else sample.metadata.get(first)
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    if found is None:
        raise UsageError(
            f"the sample {sample.id!r} has no field {name!r}{did_you_mean(name, sample.metadata)}",
            hint=f"it has {', '.join([*sample.metadata, 'expected'])}",
        )
    return str(found)


def _with_ids(samples: Iterable[Sample], ids: tuple[str, ...]) -> list[Sample]:
    wanted, near = set(ids), set[str]()
    found = []
    for sample in samples:
        if sample.id in wanted:
            found.append(sample)
        elif len(near) < MAX_STRATA:
            near.add(sample.id)
    if missing := sorted(wanted - {sample.id for sample in found}):
        raise UsageError(
            f"there is no sample with the id {missing[0]!r}{did_you_mean(missing[0], near)}",
            hint="`llmbench usecase show FOLDER --all` lists the ids",
        )
    return found


def _too_many(name: str) -> UsageError:
    return UsageError(
        f"{name!r} has more than {MAX_STRATA} values: nothing to stratify by",
        hint="stratify by a field with few values, such as a kind or a difficulty",
    )
