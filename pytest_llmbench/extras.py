"""What is installed only where somebody asked for it, imported at its first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pytest_llmbench.errors import MissingExtraError


def from_extra(module: str, extra: str) -> Any:
    """A module of an optional dependency, imported now.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(f"{module} is not installed", hint=f"pip install 'pytest-llmbench[{extra}]'") from error
