"""Tool calls put together from their pieces, whatever wire format they come in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_llmbench.clients.pieces import joined
from pytest_llmbench.records import ToolCall


@dataclass(slots=True)
class _Open:
    """A call as far as it came."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    given: str = ""
    """Arguments that came whole with the call's beginning; pieces take their place."""

    def whole(self) -> ToolCall:
        return ToolCall(joined([self.id]), joined([self.name]), joined(self.arguments) or joined([self.given]))


class ToolCalls:
    """The calls of one answer, in the order in which they began.

    An index is the provider's number for a call, and no more than a name: it may jump, be negative or missing.
    """

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._at: dict[int | None, _Open] = {}

    def begin(self, index: int | None, id_: str, name: str, given: str = "") -> None:
        """A call begins; pieces with its index, or without any, are its from now on."""
        call = _Open(id_, name, given=given)
        self._calls.append(call)
        self._at[index] = self._at[None] = call

    def add(self, index: int | None, arguments: str) -> None:
        """A piece of a call's arguments; one of no call that began is let go."""
        if (call := self._at.get(index)) is not None:
            call.arguments.append(arguments)

    def add_delta(self, index: int | None, id_: str, name: str, arguments: str) -> None:
        """A piece that may also begin a call.

        It does where nothing has its index yet, and where it has a name with another id, or with neither id nor index:
        Gemini numbers all calls 0, others none. An id alone begins none: old vLLM makes up one for every piece.
        """
        call = self._at.get(index)
        is_other = id_ != call.id if call is not None and id_ else index is None
        if call is None or (name and is_other):
            self.begin(index, id_, name)
        else:
            call.id, call.name = call.id or id_, call.name or name
        self.add(index, arguments)

    def end(self, index: int | None) -> None:
        """What follows with this index is of no call."""
        self._at.pop(index, None)

    def __iter__(self) -> Iterator[ToolCall]:
        """The calls as they stand; those of which nothing at all was told are none."""
        calls = (call.whole() for call in self._calls)
        return (call for call in calls if call.id or call.name or call.arguments)
