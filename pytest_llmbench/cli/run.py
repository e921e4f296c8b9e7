"""`llmbench run`: pytest, with our options under their short names."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmbench.options import OPTIONS

_LONG = {option.short_flag: option.flag for option in OPTIONS} | {option.flag: option.flag for option in OPTIONS}


def run(words: Sequence[str]) -> int:
    """Run pytest in this process; returns its exit status."""
    import pytest  # noqa: PLC0415  `llmbench run --help` does without

    return int(pytest.main(pytest_arguments(words)))


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """`--rounds 5` as `--llmbench-rounds=5`; all that is not ours as it is, and everything after `--`."""
    translated: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*translated, word, *rest]
        flag, equals, value = word.partition("=")
        if flag not in _LONG:
            translated.append(word)
        elif equals or (following := next(rest, None)) is None:
            translated.append(f"{_LONG[flag]}{equals}{value}")
        else:
            translated.append(f"{_LONG[flag]}={following}")
    return translated
