"""Small files that we write and users keep: one JSON object each."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError


def read_object(path: Path, what: str, *, most_bytes: int, hint: str) -> dict[str, Any]:
    """What such a file holds.

    Args:
        path: of the file.
        what: what it is to be: `baseline`, `calibration of a judge`.
        most_bytes: a larger file is none of ours.
        hint: what to do with one that cannot be used.

    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    name = shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        data = strict_json.parse(content.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{name} is no {what}: {error}", hint=hint) from None
    if len(content) > most_bytes or not isinstance(data, dict):
        raise ConfigError(f"{name} is no {what}", hint=hint)
    return data


def write_whole(path: Path, text: str) -> None:
    """Write a file in place of what is there; under its name there is either the old one or the whole new one.

    Raises:
        ConfigError: it cannot be written.
    """
    part = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"{shown(path)} cannot be written: {error.strerror}") from error
