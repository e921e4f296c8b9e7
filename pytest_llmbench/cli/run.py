"""`llmbench run`: pytest, with our options under their short names."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmbench.cli.values import check
from pytest_llmbench.options import OPTIONS

_SHORT = {option.short_flag: option for option in OPTIONS}
_LONG = {option.short_flag: option.flag for option in OPTIONS} | {option.flag: option.flag for option in OPTIONS}


def run(words: Sequence[str]) -> int:
    """Run pytest in this process; returns its exit status."""
    arguments = pytest_arguments(words)
    import pytest  # noqa: PLC0415  `llmbench run --help` does without

    from pytest_llmbench.cli.near_options import NearOptions  # noqa: PLC0415

    return int(pytest.main(arguments, plugins=[NearOptions()]))


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """`--rounds 5` as `--llmbench-rounds=5`; all that is not ours as it is, and everything after `--`.

    Raises:
        UsageError: a value behind a short name is not valid; pytest would name the long one, which nobody typed.
    """
    translated: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*translated, word, *rest]
        flag, equals, value = word.partition("=")
        if flag not in _LONG:
            translated.append(word)
        elif equals or (following := next(rest, None)) is None:
            translated.append(_translated(flag, equals, value))
        else:
            translated.append(_translated(flag, "=", following))
    return translated


def _translated(flag: str, equals: str, value: str) -> str:
    if equals and flag in _SHORT:
        check(_SHORT[flag], value)
    return f"{_LONG[flag]}{equals}{value}"
