"""What was chosen for a pytest session: its command line, the ini file, the environment, llmbench.yaml."""

from __future__ import annotations

import os

import pytest

from pytest_llmbench import options
from pytest_llmbench.config import Resolved
from pytest_llmbench.config import resolve as from_sources
from pytest_llmbench.errors import UsageError


def resolve(config: pytest.Config) -> Resolved:
    """The choices of a session.

    Raises:
        UsageError: one is not valid, or was made where it may not be.
    """
    for option in options.OPTIONS:
        if option.personal and config.getoption(option.ini) is not None and not _typed_by_the_user(config, option.flag):
            raise UsageError(
                f"addopts of {config.inipath or 'the ini file'} passes {option.flag}, which names a program to run",
                hint=f"a project's files may not choose what is executed; set {option.env} or pass the flag yourself",
            )
    ini = options.ini_values(config.getini)
    cli = {option.name: config.getoption(option.ini) for option in options.OPTIONS}
    name = config.inipath.name if config.inipath else "ini file"
    return from_sources(cli, os.environ, ini, config.rootpath, ini_name=name)


def _typed_by_the_user(config: pytest.Config, flag: str) -> bool:
    typed = [*map(str, config.invocation_params.args), os.environ.get("PYTEST_ADDOPTS", "")]
    return hasattr(config, "workerinput") or any(flag in argument for argument in typed)
