"""A plugin that ends pytest as soon as it has loaded the conftest.py files of its arguments."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError


class OnlyConftests:
    """No session begins, so nothing is collected and no plugin is configured."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self) -> int:
        return 0

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except pytest.UsageError:
            raise
        except Exception as error:
            cause = error.__cause__ or error
            raise ConfigError(
                f"{_place(cause)}: this file fails: {type(cause).__name__}: {cause}",
                hint="validators of your own are registered there, and pytest stops at it, too",
            ) from error


def _place(error: BaseException) -> str:
    """`conftest.py:3`: the last line of a conftest.py that led to an error, or where it has no Python."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).name == "conftest.py"]
    if frames:
        return f"{shown(Path(frames[-1].filename))}:{frames[-1].lineno}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(Path(error.filename))}:{error.lineno}"
    return "conftest.py"
