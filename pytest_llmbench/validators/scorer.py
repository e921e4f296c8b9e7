"""The shapes that validators are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pytest_llmbench.config.confined import file_inside
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.errors import ConfigError, did_you_mean
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.material import Material

Locate = Callable[[KeyPath, str], ConfigError]
"""Makes an error of a key path and what is wrong there: it knows file and line."""

FILE_BYTES = 5_000_000


class Scorer(Protocol):
    """A validator with its argument: ready to score replies."""

    def score(self, material: Material) -> Score:
        """Never raises, whatever the reply is."""
        ...

    def defects(self, material: Material) -> list[str]:
        """What is wrong with the expected answer itself, one sentence each; there is no reply in the material yet."""
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a use case's declaration."""

    locate: Locate
    path: KeyPath = ()
    folder: Path | None = None
    """The use case's: files that an argument names stand in it."""

    def at(self, *keys: str | int) -> Where:
        """A place below this one."""
        return Where(self.locate, (*self.path, *keys), self.folder)

    def file(self, name: str) -> Path:
        """A file that is named here.

        Raises:
            ConfigError: it is not in the folder, or not there.
        """
        if self.folder is None:
            raise self.error(f"{name!r}: a file can be named in a use case's folder only")
        try:
            return file_inside(self.folder, name)
        except ValueError as error:
            raise self.error(str(error)) from error

    def text_of(self, name: str) -> str:
        """What a file that is named here holds; see `file`."""
        path = self.file(name)
        if path.stat().st_size > FILE_BYTES:
            raise self.error(f"{name!r} is larger than {FILE_BYTES:,} bytes")
        try:
            return path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise self.error(f"{name!r} cannot be read as UTF-8 text: {error}") from error

    def error(self, message: str, hint: str = "") -> ConfigError:
        """What is wrong at this place, to be raised."""
        found = self.locate(self.path, message)
        return ConfigError(found.message, hint=hint or found.hint)


Parse = Callable[[Any, Where], Scorer]
"""Makes a scorer of a validator's argument (None where there is none); raises `where.error(...)`."""


@dataclass(frozen=True, slots=True)
class Validator:
    """One row of the table of validators."""

    name: str
    about: str
    """What makes a reply good, in a line."""
    parse: Parse
    example: Any = None
    """An argument as one would write it, JSON; None: it takes none."""
    needs: str = ""
    """The extra that has to be installed."""
    measure: str = ""
    """Of one that measures: what `at_least` or `at_most` is compared with, a key of the score's details, or `value`.
    Empty: it passes or fails."""
    lower_is_better: bool = False
    """The measure is limited by `at_most`, as an error rate is."""
    demands_truth: bool = False
    """Without an argument it passes the expected answer and nothing else."""
    settles: bool = False
    """It measures, and says without a limit, too, whether a reply passes; a limit overrides that."""
    opposite: str = ""
    """The validator whose opposite `not-NAME` is, where that is another: `not-contains: [a, b]` is neither."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A scorer made of functions: all that most validators are."""

    judge: Callable[[Material], Score]
    faults: Callable[[Material], list[str]] = field(default=lambda _material: [])

    def score(self, material: Material) -> Score:
        """As `judge` says."""
        return self.judge(material)

    def defects(self, material: Material) -> list[str]:
        """As `faults` says."""
        return self.faults(material)


def verdict(passed: bool, reason: str, **details: Any) -> Score:
    """Of a validator that passes or fails."""
    return Score("", value=float(passed), passed=passed, reason=reason, details=details)


def graded(value: float, reason: str, **details: Any) -> Score:
    """Of a validator that measures: `value` from 0 to 1, higher is better, and what it was made from."""
    return Score("", value=min(1.0, max(0.0, value)), reason=reason, details=details)


def rated(value: float, passed: bool, reason: str, **details: Any) -> Score:
    """Of a validator that measures and has a verdict of its own."""
    return replace(graded(value, reason, **details), passed=passed)


def ran(found: Score) -> Score:
    """A score that something was run for, which outranks what a judge thinks."""
    return replace(found, executed=True)


def unscored(reason: str, **details: Any) -> Score:
    """Where nobody can tell."""
    return Score("", state="unscored", reason=reason, details=details)


def keys_of(argument: Any, where: Where, allowed: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """A mapping whose keys are all known and whose values are of their kinds; None is an empty one.

    Raises:
        ConfigError: it is none; with the place.
    """
    if argument is None:
        return {}
    if not isinstance(argument, dict):
        raise where.error(f"must be a mapping with some of {', '.join(allowed)}")
    for key, value in argument.items():
        if key not in allowed:
            raise where.at(key).error(f"unknown key{did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})")
        if not is_kind(value, allowed[key]):
            raise where.at(key).error(f"must be {kind_name(allowed[key])}")
    return argument


def is_kind(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a kind; true and false are no numbers, a whole number is a decimal."""
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    if isinstance(value, bool):
        return bool in wanted
    return isinstance(value, wanted) or (isinstance(value, int) and float in wanted)


def kind_name(kinds: type | tuple[type, ...]) -> str:
    """A kind as people call it: `a number`, `text or a list`."""
    names = (_KINDS[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
    return " or ".join(dict.fromkeys(names))


_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}
