"""What a project registers in its conftest.py files (validators of its own), known to verbs that start no tests."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pytest_llmbench import usecases
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.usecases import UseCase


def use_case(path: Path) -> UseCase:
    """The use case in a folder, with what the project registers for it.

    Raises:
        ConfigError: as `load` and `usecases.load` say.
    """
    load([usecases.folder_of(path)])
    return usecases.load(path)


def load(folders: Iterable[Path]) -> None:
    """Have pytest load what it would load for tests in these folders; once a process: what is registered stays so.

    pytest takes a quarter of a second to start, so it is left out where there is no conftest.py.

    Raises:
        ConfigError: one of them fails, or pytest refuses the project's configuration.
    """
    anchors = [folder.absolute() for folder in folders]
    if not any((each / "conftest.py").is_file() for anchor in anchors for each in (anchor, *anchor.parents)):
        return
    import pytest  # noqa: PLC0415  as above

    from pytest_llmbench.cli.only_conftests import OnlyConftests  # noqa: PLC0415  as above

    with redirect_stderr(io.StringIO()) as told, redirect_stdout(told):
        status = pytest.main(["--capture=sys", *map(str, anchors)], plugins=[OnlyConftests()])
    if status:
        raise ConfigError(told.getvalue().strip(), hint="that is what pytest says of this project")
