"""What a client may say to the desk, checked before anything is done with it. Standard library only."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.servers.process import Order


class MalformedError(ValueError):
    """A message that no client of ours sends."""


def parse(line: bytes) -> dict[str, Any]:
    """One line as a message: an object with a number and an operation.

    Raises:
        MalformedError: it is none.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {type(error).__name__}") from error
    if not isinstance(message, dict) or not _is_whole(message.get("id")) or not _is_text(message.get("op")):
        raise MalformedError("not an object with `id` and `op`")
    return message


def orders(message: Mapping[str, Any]) -> list[Order]:
    """The servers that a claim is for.

    Raises:
        MalformedError: none, or one that is not described as it has to be.
    """
    asked = message.get("orders")
    if not isinstance(asked, list) or not asked or not isinstance(message.get("wait"), bool):
        raise MalformedError("a claim has a list of `orders`, and `wait`")
    try:
        made = [Order(**order) for order in asked]
    except TypeError as error:
        raise MalformedError(f"no order: {error}") from error
    for order in made:
        _check(order)
    return made


def keys(message: Mapping[str, Any]) -> list[str]:
    """The configurations that a release or a cancellation is about.

    Raises:
        MalformedError: it names none.
    """
    named = message.get("keys")
    if not _is_texts(named):
        raise MalformedError("`keys` is a list of strings")
    return list(named or ())


def request(message: Mapping[str, Any]) -> int:
    """The number of the request that a cancellation is about.

    Raises:
        MalformedError: it names none.
    """
    number = message.get("request")
    if not _is_whole(number):
        raise MalformedError("`request` is a number")
    return int(number or 0)


def suspicion(message: Mapping[str, Any]) -> tuple[int, float]:
    """The process that is suspected to hang, and how long (s) it may take to show that it works.

    Raises:
        MalformedError: it names none.
    """
    pid, bound_s = message.get("pid"), message.get("bound_s")
    if not _is_whole(pid) or not _is_number(bound_s):
        raise MalformedError("a suspicion has a `pid` and `bound_s`")
    return int(pid or 0), float(bound_s or 0)


def _check(order: Order) -> None:
    for field in dataclasses.fields(order):
        fits = _FITS.get(str(field.type))
        if fits is not None and not fits(getattr(order, field.name)):
            raise MalformedError(f"an order's {field.name} is a {field.type}")
    if not order.argv:
        raise MalformedError("an order's argv names a program")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_text(value: object) -> bool:
    """Whether it can be part of a command line."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_FITS: Mapping[str, Callable[[object], bool]] = {
    "str": _is_text,
    "int": _is_whole,
    "float": _is_number,
    "list[str]": _is_texts,
}
