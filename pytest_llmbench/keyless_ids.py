"""Names of tests without keys: pytest makes them of parameters, and shows and keeps them everywhere.

Headings, progress, the summary, JUnit files and the folder of the cache are written by pytest and by other plugins from
the name itself. So a key is taken out where the name is made, and all of them agree on it. Every project loads this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Sized
from typing import Any

import pytest

_Parameters = type(pytest.param())
"""What `pytest.param` makes."""


class KeylessIds:
    """Hooks for the names of parametrized tests.

    Args:
        knows_keys: whether it is known what a key is, now that this test is collected.
    """

    def __init__(self, knows_keys: Callable[[pytest.Item], bool]) -> None:
        self._knows_keys = knows_keys
        self._is_on = False

    @pytest.hookimpl(wrapper=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None, object, object]:
        self._is_on = self._is_on or self._knows_keys(metafunc.definition)
        if self._is_on:
            metafunc.parametrize = _keyless(metafunc.parametrize)  # type: ignore[method-assign]
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_parametrize_id(self, val: object) -> str | None:
        # Of values that nobody gave an id; None: it has no key in it, and is named as ever.
        if not self._is_on:
            return None
        value = val.pattern if isinstance(val, re.Pattern) else val
        if not isinstance(value, str | bytes | int | float):
            return None
        text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else str(value)
        return shown if (shown := _cleaned(text)) != text else None


def _keyless(parametrize: Callable[..., None]) -> Callable[..., None]:
    """`Metafunc.parametrize`, the ids that it is given without keys."""

    def keyless(argnames: Any, argvalues: Iterable[Any], *more: Any, **named: Any) -> None:
        if len(more) > 1:  # indirect, ids: pytest takes these two by their place, too
            more = (more[0], _clean_ids(more[1]), *more[2:])
        if "ids" in named:
            named["ids"] = _clean_ids(named["ids"])
        parametrize(argnames, _clean_values(argvalues), *more, **named)

    return keyless


def _clean_values(values: Any) -> Any:
    """As they were given wherever that is possible: pytest itself tells what is wrong with them."""
    if not isinstance(values, Iterable):
        return values
    if not isinstance(values, Collection):
        return (_clean_value(each) for each in values)
    cleaned = [_clean_value(each) for each in values]
    return cleaned if any(new is not old for new, old in zip(cleaned, values, strict=True)) else values


def _clean_value(value: Any) -> Any:
    """One of `pytest.param` with an id that has no key; whatever needs no change is the same object."""
    if not isinstance(value, _Parameters) or (shown := _cleaned(value.id)) == value.id:
        return value
    return value._replace(id=shown)


def _clean_ids(ids: Any) -> Any:
    if callable(ids):
        return lambda value: _cleaned(ids(value))
    if not isinstance(ids, Iterable):  # None; or what pytest refuses in its own words
        return ids
    cleaned = map(_cleaned, ids)
    return list(cleaned) if isinstance(ids, Sized) else cleaned


def _cleaned(named: Any) -> Any:
    """A text without keys; whatever else may stand for an id as it is."""
    from pytest_llmbench.redaction import redact_exact  # noqa: PLC0415 - not in sessions that do not use us

    return redact_exact(named) if isinstance(named, str) else named
