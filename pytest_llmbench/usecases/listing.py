"""The files of a use case's data, by what the front matter says: never one from outside of its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_llmbench.config import confined
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError, UsageError

FRAMES = ".frames"
"""How a folder's name ends whose pictures are one sample: the frames of a video."""

Refuse = Callable[[str], ConfigError]
"""Makes the error that says where the path is named."""

_NOT_DATA = ("readme", "thumbs.db", "desktop.ini")


def listed(folder: Path, text: str, refuse: Refuse) -> list[Path]:
    """The files that `text` means, in the order of their names.

    Args:
        folder: of the use case.
        text: a file, a folder (all files below it) or a glob, seen from there. Hidden files, backups (`x~`) and README
            are no data.
        refuse: makes the error of a path that is none.

    Raises:
        ConfigError: nothing is there, or the path leads out of the folder.
        UsageError: a link below it leads out of the folder.
    """
    is_glob = any(sign in text for sign in "*?[")
    try:
        path = confined.inside(folder, text)
    except ValueError as error:
        raise refuse(str(error)) from None
    if is_glob:
        found = [each for each in _globbed(folder, text, refuse) if _is_data(each)]
    elif path.is_dir():
        found = list(_below(path, folder))
    else:
        found = [path] if path.is_file() else []
    if not found:
        what = f"no file fits {text!r}" if is_glob else f"there is no file in {text}/" if path.is_dir() else ""
        raise refuse(what or f"there is no {text!r} in the folder of the use case")
    return sorted((_regular(_held(folder, each)) for each in found), key=lambda each: each.as_posix())


def _globbed(folder: Path, text: str, refuse: Refuse) -> list[Path]:
    try:
        return [each for each in folder.glob(text) if each.is_file() or each.suffix == FRAMES]
    except ValueError as error:
        raise refuse(f"{text!r} is no glob: {error}") from None


def _below(path: Path, folder: Path) -> Iterator[Path]:
    """All files below a folder; a folder of frames is one thing. Links to folders are refused: they could go round."""
    for where, folders, files in os.walk(path):
        here = Path(where)
        for name in list(folders):
            below = here / name
            if name.startswith(".") or name.endswith(FRAMES):
                folders.remove(name)
            if below.is_symlink():
                _held(folder, below)
                raise UsageError(f"{shown(below)} is a link to a folder", hint="put the files there, or links to files")
            if name.endswith(FRAMES):
                yield below
        yield from (here / name for name in files if _is_data(here / name))


def _is_data(file: Path) -> bool:
    name = file.name.lower()
    return not (name.startswith((".", *_NOT_DATA)) or name.endswith(("~", ".bak")))


def _regular(path: Path) -> Path:
    """No pipe or device, which might be read for ever."""
    if path.suffix != FRAMES and path.exists() and not path.is_file():
        raise UsageError(f"{shown(path)} is no regular file", hint="data are files; take it away")
    return path


def _held(folder: Path, path: Path) -> Path:
    try:
        return confined.held(folder, path)
    except ValueError as error:
        raise UsageError(f"{shown(path)}: {error}", hint="a use case holds its files itself") from None
