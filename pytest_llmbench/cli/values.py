"""Values behind the short names of options, checked under the name that was typed."""

from __future__ import annotations

import argparse

from pytest_llmbench.errors import UsageError
from pytest_llmbench.option_kinds import Option


def check(option: Option, text: str) -> None:
    """Refuse a value that the option does not take.

    Raises:
        UsageError: with the short name, what is allowed, and the default.
    """
    try:
        option.parse(text)
    except ValueError as error:
        default = f" (default: {option.default_text})" if option.default_text else ""
        raise UsageError(
            f"{option.short_flag}: {text[:80]!r} {error}", hint=f"{option.name}: {option.help}{default}"
        ) from error


def at_least_one(text: str) -> int:
    """A number of things that cannot be none; for argparse."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a whole number from 1 on")
    return int(text)


def amount(text: str) -> float:
    """A difference or a share: `0.05`, `5%`, `5 points`; for argparse."""
    from pytest_llmbench.config.margins import margin  # noqa: PLC0415  few verbs need the configuration's words

    try:
        return margin(text).amount
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 on, joined by commas; for argparse."""
    return tuple(at_least_one(part.strip()) for part in text.split(","))


def above_zero(text: str) -> float:
    """A number above 0; for argparse."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a number above 0")
    return found


def memory_size(text: str) -> int:
    """Bytes, as people write them: `8GiB`, `512 MiB`, `8GB`, `1.5GiB`; for argparse."""
    from pytest_llmbench.config.fields import size_bytes  # noqa: PLC0415 - few verbs need pydantic

    try:
        found = size_bytes(text)
    except ValueError:
        found = 0
    if not found:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a size like 8GiB, 512MiB or 8GB")
    return found


def whole_number(text: str) -> int:
    """A whole number from 0 on; for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a whole number from 0 on")
    return int(text)


def temperature(text: str) -> float:
    """A number from 0 on; for argparse."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a number from 0 on")
    return found
