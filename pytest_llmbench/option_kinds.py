"""What a run-time choice is, and what kinds of values there are. Standard library only, like options.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What values an option takes: how they are read, and how that is told to people and to editors."""

    allowed: str
    """Completes the sentence "it must be …"."""
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    """JSON Schema of the value in llmbench.yaml."""
    choices: tuple[str, ...] = ()

    def __call__(self, text: str) -> Any:
        """The value of `text`.

        Raises:
            ValueError: `text` is not such a value; the message says what is allowed.
        """
        try:
            return self.read(text)
        except (ValueError, KeyError) as error:
            from pytest_llmbench.errors import did_you_mean  # noqa: PLC0415 - only a wrong value pays for it

            raise ValueError(f"must be {self.allowed}{did_you_mean(text, self.choices)}") from error


class Option(NamedTuple):
    """One row: how a choice is named, read and explained.

    `name` gives `--llmbench-NAME`, `LLMBENCH_NAME`, the ini key `llmbench_name` and `defaults: name:`.
    """

    name: str
    default: Any
    parse: Kind
    metavar: str
    help: str
    unit: str = ""
    personal: bool = False
    """Never read from a project's files (ini, pyproject, llmbench.yaml)."""
    cli_only: bool = False
    """A choice for one run, not a habit."""
    in_yaml: bool = True
    """May stand under `defaults:`; what says where that file is cannot."""

    @property
    def flag(self) -> str:
        return "--llmbench-" + self.name.replace("_", "-")

    @property
    def short_flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return "LLMBENCH_" + self.name.upper()

    @property
    def ini(self) -> str:
        return "llmbench_" + self.name

    @property
    def in_project_files(self) -> bool:
        """Whether ini and pyproject may set it."""
        return not (self.personal or self.cli_only)

    def refusal(self, *, in_yaml: bool) -> str:
        """Why a project's file may not set it; empty where it may."""
        if self.personal:
            return "names a program to run, and a project's files may not choose what is executed"
        if self.cli_only:
            return "is a choice for one run, not for a file"
        if in_yaml and not self.in_yaml:
            return "says where this file is, so it cannot stand in it"
        return ""

    @property
    def default_text(self) -> str:
        """The default as one would type it; empty where there is none."""
        if self.default is None:
            return ""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return ",".join(self.default) if isinstance(self.default, tuple) else str(self.default)


_LARGEST = 2**31 - 1
"""Whole numbers end up in C integers."""


def whole(minimum: int) -> Kind:
    def read(text: str) -> int:
        number = int(text)
        if not minimum <= number <= _LARGEST:
            raise ValueError(text)
        return number

    schema = {"type": "integer", "minimum": minimum, "maximum": _LARGEST}
    return Kind(f"a whole number, {minimum} or more", read, schema)


def _read_seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e7:
        raise ValueError(text)
    return number


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _read_duration(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS_S else (text, "s")
    return _read_seconds(str(float(number) * _UNITS_S[unit]))


def _read_fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def _read_usd(text: str) -> str:
    """As text: money is counted in decimals, and Decimal is not for a module that every project loads."""
    if not 0 < float(text) < 1e9:
        raise ValueError(text)
    return text


_TRUTH_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

USD = Kind("an amount in US dollars above 0, like 1.50", _read_usd, {"type": ["number", "string"]})
TEXT = Kind("text", str, {"type": "string"})
SECONDS = Kind("a number of seconds above 0", _read_seconds, {"type": "number", "exclusiveMinimum": 0})
DURATION = Kind(
    "a duration above 0: 90, 30m, 2h", _read_duration, {"type": ["number", "string"], "pattern": r"^[0-9.]+[smhd]?$"}
)
FRACTION = Kind("a number from 0 to 1", _read_fraction, {"type": "number", "minimum": 0, "maximum": 1})
TRUTH = Kind("true or false", lambda text: _TRUTH_WORDS[text.lower()], {"type": "boolean"}, ("true", "false"))


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


LIST = Kind("a comma separated list", _read_list, {"type": "array", "items": {"type": "string"}})


def _read_weights(text: str) -> str | dict[str, float]:
    if text == "equal":
        return text
    named = (item.rpartition("=") for item in _read_list(text))
    found = {name.strip(): float(weight) for name, _, weight in named}
    if not found or "" in found or not all(0 < weight < 1e9 for weight in found.values()):
        raise ValueError(text)
    return found


WEIGHTS = Kind("weights above 0 by value, like gold=2,silver=0.5; or equal", _read_weights, {"type": "string"})


def one_of(*choices: str) -> Kind:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(f"one of {', '.join(choices)}", read, {"enum": list(choices)}, choices)


def formats(*choices: str) -> Kind:
    def read(text: str) -> tuple[str, ...]:
        items = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
        if items != ("none",) and (not items or not set(items) <= set(choices)):
            raise ValueError(text)
        return items

    one = {"enum": [*choices, "none"]}
    schema = {"anyOf": [{"type": "array", "items": one, "minItems": 1}, {"type": "string"}]}
    return Kind(f"a comma separated list of {', '.join(choices)}; or none", read, schema, (*choices, "none"))


def as_text(value: Any) -> str:
    """A value from a file as it would be typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
