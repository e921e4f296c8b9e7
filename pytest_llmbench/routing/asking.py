"""Asks one question by a route, as chats do: model after model, until an answer counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_llmbench.errors import InfraError, LlmbenchError, OverBudgetError
from pytest_llmbench.routing.doubts import USELESS
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Try

Said = TypeVar("Said")
"""What a model says: a reply, or what is made of several."""


def asked_by_route(
    path: Path,
    ask: Callable[[str], Said],
    doubt: Callable[[Said], str] = lambda _: "",
    told: Callable[[Try], None] = lambda _: None,
) -> Said:
    """The answer that counts.

    Args:
        path: of the question; afterwards `path.model` is who gave the answer, `path.tries` are those asked before.
        ask: asks a model, by its name, and waits.
        doubt: the doubt that an answer leaves, by its name in `doubts.DOUBTS`; empty: none.
        told: told of each model whose answer does not count, before the next one is asked.

    Raises:
        InfraError: nobody answered; the last failure, with those before it.
        OverBudgetError: nobody answered, and for the last one there was no money.
    """
    kept: tuple[Try, Said] | None = None
    while True:
        try:
            reply = ask(path.model)
        except (InfraError, OverBudgetError) as error:
            if path.failed(error):
                told(path.tries[-1])
                continue
            if kept is None:
                tell_beside(error, path)
                raise
            return _first_word(path, kept)
        name = doubt(reply)
        if kept is not None and name in USELESS and kept[0].why not in USELESS:
            path.gives_up(name)
            return _first_word(path, kept)
        if not name or not path.unsure(name):
            path.stands()
            return reply
        kept = path.tries[-1], reply
        told(path.tries[-1])


def tell_beside(error: LlmbenchError, path: Path) -> None:
    """Add to a failure who else was asked; once, as questions that are the same share it."""
    name = path.route.name
    if not any(f" ({name}{end}" in error.message for end in (":", ")")):
        error.message += f" ({name}: {path.told()})" if len(path.tries) > 1 else f" ({name})"


def _first_word(path: Path, kept: tuple[Try, Said]) -> Said:
    """A doubtful answer, where no better one comes."""
    path.model = kept[0].model
    return kept[1]
