"""An answer while it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pytest_llmbench.clients.wire import Thought
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Reply


class Live:
    """Iterate over the pieces of an answer's text, then read `reply`.

    Args:
        pieces: as they come, those of reasoning as `Thought`; iterated over once.
        whole: gives the whole reply after the last of them.
        stop: breaks it off; called from any thread.
    """

    def __init__(
        self, pieces: Iterable[str], whole: Callable[[], Reply], stop: Callable[[], None] = lambda: None
    ) -> None:
        self._pieces = pieces
        self._whole = whole
        self._reply: Reply | None = None
        self.stop = stop
        """Breaks it off: whoever iterates gets an `InfraError`, `cancelled`."""

    def __iter__(self) -> Iterator[str]:
        return (piece for piece in self.everything() if not isinstance(piece, Thought))

    def everything(self) -> Iterator[str]:
        """The pieces of its text and, as `Thought`, those of its reasoning, in place of the iteration."""
        yield from self._pieces
        if self._reply is None:
            self._reply = self._whole()

    @property
    def reply(self) -> Reply:
        """The whole reply, stored.

        Raises:
            UsageError: its text was not iterated over to the end.
        """
        if self._reply is None:
            raise UsageError(
                "the reply of a stream is known once its text was iterated over to the end",
                hint="`for piece in live: ...`, then `live.reply`",
            )
        return self._reply
