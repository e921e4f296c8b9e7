"""Validators as a use case declares them, without the use case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_llmbench.config.strict_yaml import KeyPath, dotted
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Score
from pytest_llmbench.validators.declared import Declared, declared
from pytest_llmbench.validators.material import Material


def located(path: KeyPath, message: str) -> ConfigError:
    """An error as a use case's loader makes it: with a file, a line, and where it is."""
    return ConfigError(f"USE-CASE.md:7: {dotted(('validators', 0, *path))}: {message}")


def made(spec: Any, folder: Path | None = None) -> Declared:
    """The validator that a specification declares."""
    return declared(spec, located, folder)


def scored(spec: Any, reply: str, expected: Any = None, **more: Any) -> Score:
    """What a declared validator says of a reply."""
    return made(spec, more.get("folder")).score(Material(reply_text=reply, expected=expected, **more))


def defects(spec: Any, expected: Any = None, **more: Any) -> list[str]:
    """What a declared validator says of an expected answer."""
    return made(spec, more.get("folder")).defects(Material(expected=expected, **more))
