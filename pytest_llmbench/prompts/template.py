"""Templates: text with `{{variable}}`, filled once by plain substitution.

What a value holds is never looked at again, so braces in it stay braces. What is no text is written as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.errors import UsageError, did_you_mean

Refusal = Callable[[str, int], UsageError]
"""Makes the error that says where a template stands, of a message and the line within the template (from 0)."""

_VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def _nowhere(message: str, line: int) -> UsageError:
    return UsageError(f"the prompt's template, line {line + 1}: {message}")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with variables."""

    text: str
    refused: Refusal = field(default=_nowhere, repr=False, compare=False)
    _pieces: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Text, name, text, name, …, text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pieces", tuple(_VARIABLE.split(self.text)))

    @property
    def names(self) -> frozenset[str]:
        """The variables that it holds."""
        return frozenset(self._pieces[1::2])

    def check(self, known: Collection[str], whom: str = "") -> None:
        """See that every variable has a value.

        Args:
            known: the names that have one.
            whom: whose values they are, as `the sample 'q1'`.

        Raises:
            UsageError: one has none; with the place of the template.
        """
        if missing := sorted(self.names.difference(known)):
            error = self.error(
                f"{whom + ' has ' if whom else ''}no value for {{{{{missing[0]}}}}}{did_you_mean(missing[0], known)}",
                missing[0],
            )
            error.hint = f"there are {', '.join(f'{{{{{name}}}}}' for name in sorted(known))}"
            raise error

    def error(self, message: str, name: str = "") -> UsageError:
        """A mistake in this template, where it holds the variable."""
        before = self._pieces[: self._pieces.index(name, 1)] if name in self.names else ()
        return self.refused(message, sum(piece.count("\n") for piece in before))

    def filled(self, values: Mapping[str, Any], whom: str = "") -> str:
        """The text with every variable's value in its place; arguments as for `check`.

        Raises:
            UsageError: a variable has none; with the place of the template.
        """
        if len(self._pieces) == 1:
            return self.text
        self.check(values, whom)
        return "".join(shown(values[piece]) if odd % 2 else piece for odd, piece in enumerate(self._pieces))

    def around(self, name: str) -> tuple[Template, Template] | None:
        """What stands before a variable and behind it; None where it does not stand there exactly once."""
        if self._pieces[1::2].count(name) != 1:
            return None
        place = self._pieces[1::2].index(name) * 2 + 1
        return self._part(self._pieces[:place]), self._part(self._pieces[place + 1 :])

    def _part(self, pieces: tuple[str, ...]) -> Template:
        text = "".join(f"{{{{{piece}}}}}" if odd % 2 else piece for odd, piece in enumerate(pieces))
        return Template(text, self.refused)


def shown(value: Any) -> str:
    """A value as it stands in a prompt: text as it is, all else as JSON (a date as text)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
