"""A value that nobody shows by accident. Standard library only: the supervisor's room may use it."""

from __future__ import annotations

import hmac
from typing import NoReturn, Self

from pytest_llmbench import redaction

MASK = "***"


class Secret:
    """An API key or token: `reveal()` is the only way to its value.

    `repr`, `str`, `format`, `%s` and `json.dumps(default=str)` show `***`; `json.dumps` and `pickle` refuse it; copies
    are the object itself. Making one registers its value with the redactor, so that text which holds it all the same
    (a server's error message, a local variable in a traceback) loses it at every sink.

    Args:
        value: the key; "" for "none", which is false.

    Raises:
        TypeError: it is no text.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str | Secret = "") -> None:
        self.__value = _text(value)
        redaction.register(self.__value)

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self.__value

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode("utf-8", "replace"), other.reveal().encode("utf-8", "replace"))

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __repr__(self) -> str:
        return f"Secret({MASK if self else ''!r})"

    def __str__(self) -> str:
        return MASK if self else ""

    def __format__(self, spec: str) -> str:
        return str(self)  # whatever the width: padding to it would be harmless, but precision would not

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: hand its name around, or reveal() it where it is used")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to hand out: reveal() it where it is used")


def _text(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, str):
        return value
    raise TypeError(f"a secret is text, not {type(value).__name__}")


NO_KEY = Secret()
"""For whoever wants none; a default that all may share."""
