"""What a machine does overnight: a heap of documents, one after another and with several slots at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_llmbench.bench import Load, Planned, Profile, Stand, Timed
from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles.batch_documents import Document, documents, shuffled
from pytest_llmbench.profiles.batch_findings import conclude

SHIPPED_COUNT = 30
TASK = "Summarize the following document in three sentences. Keep names, numbers and dates."

_TEMPLATE_TOKENS = 256
"""Room for the task, the chat template and the fresh prefix."""
_BYTES_A_TOKEN = 2.5
"""Fewer than any usual text has (English 4, German 3, Chinese 3 bytes), so that the context is not too small."""


@dataclass(frozen=True, slots=True)
class BatchLoad(Load):
    """Each document once at each number of slots."""

    texts: ClassVar[frozenset[str]] = frozenset({"task"})

    documents: int | None = None
    """How many; fewer texts than that begin again from the first. None: every text of the source."""
    source: str | tuple[str, ...] = ""
    """A folder with .txt and .md files, or the texts; empty for the thirty shipped ones."""
    task: str = TASK
    """What to do with each; it stands before the document."""
    output_tokens: int = 96
    """Tokens generated for each document, fixed where the server allows it."""
    slots: tuple[int, ...] = (1, 4)
    """Requests at once; each number is a pass over all documents, against a server with as many slots."""
    warmup: int = 1
    """Requests sent first to each server and thrown away."""

    def __post_init__(self) -> None:
        found = documents(self.source)
        object.__setattr__(self, "source", tuple(document.text for document in found))
        object.__setattr__(self, "documents", len(found) if self.documents is None else self.documents)
        object.__setattr__(self, "slots", _levels(self.slots))
        for name in ("documents", "output_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.warmup < 0 or not self.task.strip():
            raise UsageError("warmup is at least 0, and task a text that says what to do with a document")

    def settings(self) -> dict[str, Any]:
        """The texts as their number and one hash: they stand beside the repetitions, where texts are kept."""
        digest = hashlib.sha256(json.dumps(self.source).encode()).hexdigest()
        return {
            "documents": self.documents,
            "source": {"texts": len(self.source), "sha256": digest},
            "task": self.task,
            "output_tokens": self.output_tokens,
            "slots": list(self.slots),
            "warmup": self.warmup,
        }


def _levels(slots: Sequence[int] | int) -> tuple[int, ...]:
    """Ascending, each once: the first is what the others are compared with."""
    levels = (slots,) if isinstance(slots, int) else tuple(sorted(set(slots)))
    if not levels or levels[0] < 1:
        raise UsageError(f"slots are numbers from 1 on, not {slots!r}", hint="slots=(1, 4) is one at a time, then four")
    return levels


def needs(load: BatchLoad) -> Mapping[str, Any]:
    """A context for the longest document and its answer."""
    longest = max(len(text.encode()) for text in load.source)
    tokens = longest / _BYTES_A_TOKEN + _TEMPLATE_TOKENS + len(load.task.encode()) / _BYTES_A_TOKEN
    return {"context": -(-int(tokens + load.output_tokens) // 256) * 256}


def drive(stand: Stand, load: BatchLoad) -> Iterator[Timed]:
    """A pass over the documents for each number of slots; yields what was not measured before."""
    part = 1 + max((int(kept.labels.get("part", 0)) for kept in stand.kept), default=0)
    for number, slots in enumerate(load.slots):
        missing = [each for each in _planned(load, number, slots, part) if each.index not in stand.done]
        if missing:
            yield from _passed(_served(stand, slots), missing, slots, load)


def _planned(load: BatchLoad, number: int, slots: int, part: int) -> Iterator[Planned]:
    """One pass.

    Args:
        number: of the pass.
        part: which uninterrupted part of the measurement this is: clocks of two parts have nothing in common.
    """
    texts = [Document(str(place), text) for place, text in enumerate(load.source, 1)]
    assert load.documents is not None
    for place, document in enumerate(shuffled(texts, load.documents)):
        labels = {"slots": slots, "place": place, "document": int(document.name), "part": part}
        prompt = f"{load.task}\n\n{document.text}"
        yield Planned(number * load.documents + place, number, prompt, load.output_tokens, labels)


def _served(stand: Stand, slots: int) -> Stand:
    if not stand.owned:
        if slots > 1:
            stand.note(
                f"the server is not ours: {slots} requests were sent at once, it may serve fewer and queue the rest"
            )
        return stand
    return stand if stand.slots == slots else stand.served_with(slots=slots)


def _passed(stand: Stand, planned: Sequence[Planned], slots: int, load: BatchLoad) -> Iterator[Timed]:
    stand.warm_up(planned[0], load.warmup)
    timed = map(stand.ask, planned) if slots == 1 else stand.ask_all(planned, concurrency=slots)
    for each in timed:
        e2e_s = each.repetition.metrics.get("e2e_s")
        first = slots == load.slots[0] and e2e_s is not None
        yield each.scored(s_per_document=e2e_s) if first and e2e_s is not None else each


BATCH = Profile(
    "batch",
    BatchLoad,
    drive,
    conclude,
    rated=("documents_per_hour", "memory_share", "temperature_c"),
    needs=needs,
)
