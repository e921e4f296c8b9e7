"""Options of ours among those that pytest adds to every command line by itself: `addopts`, `PYTEST_ADDOPTS`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.options import OPTIONS
from pytest_llmbench.settings import Origin

VARIABLE = "PYTEST_ADDOPTS"


def of_project(table: Mapping[str, Any], name: str) -> dict[str, Origin]:
    """Option name → text and source, of an ini file's section.

    Args:
        table: the section; `addopts` is a text, or a list of words.
        name: how to name the file.

    Raises:
        ConfigError: the text cannot be split into words, or it names a program to run: a file may not.
    """
    source = f"addopts of {name}"
    found = _ours(_words(table.get("addopts", ""), source), source)
    for option in OPTIONS:
        if option.personal and option.name in found:
            raise ConfigError(
                f"{source}: {option.flag}: {option.refusal(in_yaml=False)}",
                hint=f"pass {option.flag} yourself or set {option.env}",
            )
    return found


def of_environment(environ: Mapping[str, str]) -> dict[str, Origin]:
    """The same, of the variable; pytest puts it above `addopts`."""
    return _ours(_words(environ.get(VARIABLE, ""), VARIABLE), VARIABLE)


def _words(added: Any, source: str) -> list[str]:
    if isinstance(added, list):
        return [str(word) for word in added]
    try:
        return shlex.split(str(added))
    except ValueError as error:
        raise ConfigError(f"{source}: cannot be split into words: {error}", hint="close the quotation") from error


def _ours(words: Sequence[str], source: str) -> dict[str, Origin]:
    """`--llmbench-x=v` and `--llmbench-x v`; the last of two wins, as in pytest."""
    names = {option.flag: option.name for option in OPTIONS}
    found: dict[str, Origin] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag in names and (text := value if equals else next(rest, None)) is not None:
            found[names[flag]] = Origin(text, source)
    return found
