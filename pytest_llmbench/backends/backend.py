"""What a server of somebody else is asked beside a measurement; this one, whose kind is not known: nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pytest_llmbench.backends import own_speed
from pytest_llmbench.backends.own_speed import OwnSpeed
from pytest_llmbench.clients.request import Endpoint
from pytest_llmbench.errors import WireError
from pytest_llmbench.http import Deadlines
from pytest_llmbench.records import Measurement, Table

_T = TypeVar("_T")
_LONGEST = 200
"""Characters of a detail: what a stranger tells may be of any length."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server told of itself beside one measurement."""

    details: Mapping[str, Any] = field(default_factory=dict)
    """`kind`, `version`, `family`, `parameters`, `quantization`, `context`, ...: each only where it was told."""
    scalars: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the whole measurement; each has a row in `metrics.METRICS`."""
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


class Backend:
    """Asks a server of one kind what it tells; that it does not answer costs a note and never the measurement.

    Args:
        endpoint: where the model is asked.
        deadlines: of each call.
        note: what there is to say about how the kind was found.
    """

    KIND: ClassVar[str] = "openai"
    TITLE: ClassVar[str] = "the server"
    SAME: ClassVar[tuple[str, ...]] = ()
    """Names of the details that tell its engine and the model's file apart from others; `describe` finds them."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines, note: str = "") -> None:
        self.endpoint = endpoint
        self.deadlines = deadlines
        self.details: dict[str, Any] = {}
        self.scalars: dict[str, float] = {}
        self.notes: list[str] = [note] if note else []
        self.tables: list[Table] = []

    def describe(self) -> None:
        """Ask what engine it is and what model it serves; nothing is loaded for that."""

    def begin(self) -> None:
        """Ask what has to be known before the first request of a measurement."""
        self.describe()

    def identity(self) -> dict[str, Any]:
        """What another measurement must have in common with this one to be the same; empty where it tells nothing."""
        self.describe()
        told = {name: value for name, value in self.told().details.items() if name in self.SAME}
        return {"kind": self.KIND, **told} if told else {}

    def end(self, measurement: Measurement, sent: int) -> None:
        """Ask what there is to know after its last one.

        Args:
            measurement: with its repetitions.
            sent: the requests that were sent to the server since `begin`, warm-ups included.
        """

    def told(self) -> Told:
        """All that was told since `begin`."""
        named = {} if self.KIND == Backend.KIND else {"kind": self.KIND}
        known = {name: value for name, value in self.details.items() if value not in (None, "")}
        details = {**named, **{n: v[:_LONGEST] if isinstance(v, str) else v for n, v in known.items()}}
        return Told(details, dict(self.scalars), tuple(self.notes), tuple(self.tables))

    def compare(self, measurement: Measurement, told: Sequence[OwnSpeed]) -> None:
        """Take in how fast the server says it was, beside what was measured."""
        self.scalars |= own_speed.scalars(told)
        self.notes += own_speed.notes(self.TITLE, measurement, told)
        if (table := own_speed.table(self.TITLE, measurement, told)) is not None:
            self.tables.append(table)

    def ask(self, what: str, call: Callable[[], _T]) -> _T | None:
        """What `call` gives; None, and a note, where the server does not answer it.

        Args:
            what: the thing that is asked for, for the note.
            call: raises `WireError`.
        """
        try:
            return call()
        except WireError as error:
            self.notes.append(f"{self.TITLE} did not tell {what}: {error.message}"[:300])
            return None
