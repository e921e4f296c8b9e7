"""What people say of a reply that a judge was asked about, beside what the judge says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmbench.records.record import Record


@dataclass(frozen=True, slots=True)
class Labelled(Record):
    """One row of a calibration: one reply, or a pair of them."""

    kind: Literal["reply", "pair", "canary", "control"]
    """`canary`: a bad reply of ours that orders its judge about; `control`: the same without the order."""
    rubric: str
    """Its name."""
    rubric_hash: str
    human: str
    """What people said: `pass` or `fail`; of a pair the better one, `a`, `b` or `tie`. Of a canary `fail`."""
    judged: str = ""
    """What the judge said, in the same words; empty: nothing that can be used."""
    model: str = ""
    """Who wrote the reply, as the row says; empty: it does not."""
    characters: Sequence[int] = ()
    """Of the reply; of a pair those of both, `a` first."""
    places: Sequence[str] = ()
    """Of a pair: which place the judge preferred in each order, `a` first, then `b` first: `first`, `second`, `tie`;
    empty: its answer could not be used."""
    request_hash: str = ""
    """sha256 of all that the judge was asked beside what it judged."""
    labels_hash: str = ""
    """sha256 of the labels' file, or of the pairs'."""
    labels_wanted: int = 50
    """Labels from which a calibration says enough, as the project had it."""
    kappa_wanted: float = 0.4
    """What the lower end of kappa's interval has to reach, as the project had it."""
    rides_along: bool = False
    """Whether it is planted beside the samples of a use case: then no figure but its judge's obedience counts it."""
