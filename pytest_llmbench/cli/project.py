"""Which project we stand in, outside of pytest: its root directory, its ini values, its llmbench.yaml.

pytest offers no public way to ask without starting it, so its documented rules are followed here: the nearest
`pytest.toml`, `pytest.ini`, `pyproject.toml`, `tox.ini` or `setup.cfg` that has a section for pytest, up from here.
"""

from __future__ import annotations

import argparse
import configparser
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmbench.cli import addopts
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.option_kinds import as_text
from pytest_llmbench.options import OPTIONS
from pytest_llmbench.settings import Origin

if TYPE_CHECKING:
    from pytest_llmbench.config import Resolved


@dataclass(frozen=True, slots=True)
class Project:
    """A root directory and what its ini file says of our options."""

    rootdir: Path
    ini_name: str = "ini file"
    ini: Mapping[str, str] = field(default_factory=dict)
    """Option name → text."""
    addopts: Mapping[str, Origin] = field(default_factory=dict)
    """Option name → text and source, of the flags that the file adds to every call of pytest."""


def resolved(arguments: argparse.Namespace) -> Resolved:
    """Everything chosen for this project, from a verb's parsed arguments and all other sources."""
    from pytest_llmbench.config import resolve  # noqa: PLC0415  pydantic and yaml load with it

    given = {option.name: getattr(arguments, option.ini, None) for option in OPTIONS}
    project = find(Path(arguments.rootdir).absolute() if arguments.rootdir else Path.cwd())
    rootdir = Path(arguments.rootdir).absolute() if arguments.rootdir else project.rootdir
    added = {**project.addopts, **addopts.of_environment(os.environ)}
    return resolve(given, os.environ, project.ini, rootdir, ini_name=project.ini_name, addopts=added)


def find(start: Path) -> Project:
    """The project that `start` lies in.

    Raises:
        ConfigError: `start` is no folder, or an ini file cannot be read.
    """
    if not start.is_dir():
        raise ConfigError(f"{start}: no such directory")
    folders = (start, *start.parents)
    for folder in folders:
        for name, read in _READERS.items():
            if (folder / name).is_file() and (table := _read(folder / name, read)) is not None:
                return Project(folder, name, _ours(table), addopts.of_project(table, name))
    for marker in ("pyproject.toml", "setup.py"):
        for folder in folders:
            if (folder / marker).is_file():
                return Project(folder)
    return Project(start)


def _read(path: Path, read: Callable[[str], Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    try:
        return read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _ours(table: Mapping[str, Any]) -> dict[str, str]:
    return {option.name: as_text(table[option.ini]) for option in OPTIONS if option.ini in table}


def _pytest_toml(text: str) -> Mapping[str, Any]:
    table: Mapping[str, Any] = tomllib.loads(text).get("pytest", {})
    return table


def _pyproject(text: str) -> Mapping[str, Any] | None:
    table = dict(tomllib.loads(text).get("tool", {}).get("pytest", {}))
    options: Mapping[str, Any] | None = table.pop("ini_options", None)
    return table or options


def _section(name: str) -> Callable[[str], Mapping[str, Any] | None]:
    def read(text: str) -> Mapping[str, Any] | None:
        parsed = configparser.RawConfigParser(strict=False, inline_comment_prefixes=None)
        parsed.read_string(text)
        return dict(parsed[name]) if parsed.has_section(name) else None

    return read


def _pytest_ini(text: str) -> Mapping[str, Any]:
    return _section("pytest")(text) or {}


_READERS: Mapping[str, Callable[[str], Mapping[str, Any] | None]] = {
    "pytest.toml": _pytest_toml,
    ".pytest.toml": _pytest_toml,
    "pytest.ini": _pytest_ini,
    ".pytest.ini": _pytest_ini,
    "pyproject.toml": _pyproject,
    "tox.ini": _section("pytest"),
    "setup.cfg": _section("tool:pytest"),
}
"""In pytest's order; None where the file has no section for pytest."""
