"""Paths that a file of strangers names: they stay inside its folder, symbolic links included."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath


def inside(folder: Path, text: str) -> Path:
    """The path that `text` means, seen from `folder`; nothing needs to be there.

    Args:
        folder: what must not be left.
        text: a relative path as a file says it, with `/` between its parts.

    Returns:
        The path below `folder`, as written: links in it are not followed, only looked at.

    Raises:
        ValueError: it leads out of the folder, or is no relative path; the message says how.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("must be a path of printable characters")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or text.startswith(("~", "\\")):
        raise ValueError(f"{text!r} is not relative: paths start at the folder and stay inside it")
    if ".." in PurePosixPath(text.replace("\\", "/")).parts:
        raise ValueError(f"{text!r} leads out of the folder: '..' is not allowed")
    return held(folder, folder / text)


def file_inside(folder: Path, text: str) -> Path:
    """As `inside`, of a regular file that is there.

    Raises:
        ValueError: as there, or it is not there; the message says how.
    """
    path = inside(folder, text)
    if not path.is_file():
        raise ValueError(f"there is no file {text!r} in the folder")
    return path


def held(folder: Path, path: Path) -> Path:
    """`path`, once it is sure that no symbolic link leads from it out of `folder`.

    Raises:
        ValueError: a link does.
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path.name!r} cannot be followed: {error}") from error
    if not real.is_relative_to(folder.resolve()):
        raise ValueError(f"{path.relative_to(folder).as_posix()!r} is a link that leads out of the folder")
    return path
