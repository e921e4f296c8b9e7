"""Validators of one's own: functions that are registered in Python and then named like any other.

@pytest_llmbench.validator
def polite(reply_text, sample):
    return "please" in reply_text.lower()
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Sample, Score
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.registry import VALIDATORS
from pytest_llmbench.validators.scorer import Parse, Scorer, Validator, Where, graded, is_kind, verdict

Function = Callable[..., Any]
"""Of the reply's text, the sample and, where it takes one, the argument: true or false, 0 to 1, or a `Score`."""
Own = TypeVar("Own", bound=Function)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,60}")


@overload
def validator(function: Own, /) -> Own: ...


@overload
def validator(*, name: str, about: str = "") -> Callable[[Own], Own]: ...


def validator(function: Own | None = None, /, *, name: str = "", about: str = "") -> Own | Callable[[Own], Own]:
    """Register a function `(reply_text, sample)` or `(reply_text, sample, argument)` as a validator.

    Args:
        function: returns true or false, a number from 0 to 1, or a `Score`.
        name: as use cases call it; the function's own name with `-` for `_` where not given.
        about: what makes a reply good; the first line of its docstring where not given.

    Raises:
        UsageError: there is a validator of that name, or no such name can be.
    """

    def put(own: Own) -> Own:
        register(name or own.__name__.replace("_", "-"), own, about)
        return own

    return put if function is None else put(function)


def register(name: str, function: Function, about: str = "") -> None:
    """As `validator`, for a function that has no decorator.

    Raises:
        UsageError: as there.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a validator's name", hint="small letters, digits and '-'")
    about = about or (inspect.getdoc(function) or name).splitlines()[0]
    parse = _parser(name, function)
    VALIDATORS.add(Validator(name, about, parse, measure="value", settles=True))


def _parser(name: str, function: Function) -> Parse:
    takes_argument = _positions(function) > 2

    def parse(argument: Any, where: Where) -> Scorer:
        if argument is not None and not takes_argument:
            raise where.error(f"{name!r} takes no argument", hint="its function is to have a third parameter for it")
        return OwnFunction(function, argument, takes_argument)

    return parse


def _positions(function: Function) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in inspect.signature(function).parameters.values())


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """Scores by a function; what it raises is the function's fault, not the reply's."""

    function: Function
    argument: Any
    takes_argument: bool

    def score(self, material: Material) -> Score:
        """What the function says.

        Raises:
            TypeError: that is nothing a score can be made of.
        """
        sample = material.sample or Sample("", material.input_text, material.expected, material.metadata)
        arguments = (
            (material.reply_text, sample, self.argument) if self.takes_argument else (material.reply_text, sample)
        )
        found = self.function(*arguments)
        if isinstance(found, Score):
            return _kept(found)
        if isinstance(found, bool):
            return verdict(found, "as its function says")
        if is_kind(found, float):
            if not 0 <= found <= 1:
                raise ValueError(f"{found!r} is not from 0 to 1")
            return graded(found, "as its function says")
        raise TypeError(f"it returned {type(found).__name__}; a validator returns true or false, a number or a Score")

    def defects(self, _material: Material) -> list[str]:
        """Nobody knows but its author."""
        return []


def _kept(found: Score) -> Score:
    """A score that can be stored, whatever its author put into it."""
    passed = None if found.passed is None else bool(found.passed)
    value = found.value if found.value is not None or passed is None else float(passed)
    return replace(
        found,
        value=None if value is None or found.state != "scored" else float(value),
        passed=passed,
        weight=float(found.weight),
        reason=str(found.reason),
        details=_plain(found.details),
        parts=tuple(map(_kept, found.parts)),
    )


def _plain(value: Any) -> Any:
    """As JSON has it; what that does not know becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(map(_plain, value))
    is_plain = value is None or type(value) in (str, bool, int) or (type(value) is float and math.isfinite(value))
    return value if is_plain else str(value)
