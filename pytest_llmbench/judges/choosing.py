"""A rubric by whatever somebody calls it: a shipped name, a file, a text, a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError, did_you_mean
from pytest_llmbench.judges import rubric_reading
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.shipped import SHIPPED, shipped

_FILES = (".md", ".markdown", ".yaml", ".yml", ".json", ".txt")
_NAME = re.compile(r"[\w./-]{1,100}", re.ASCII)
"""What looks like a name; as the text of a criterion it would ask the judge whether `toxicity` holds."""


def chosen(said: str | Path | Mapping[str, Any] | Rubric) -> Rubric:
    """The rubric that a test or a command line means.

    Args:
        said: a shipped name, the path of a file, the text itself, a mapping as in YAML, or a rubric.

    Raises:
        ConfigError: it is none, with the place.
    """
    if isinstance(said, Rubric):
        rubric_reading.from_mapping(said.as_mapping(), said.name)
        return said
    if isinstance(said, Mapping):
        return rubric_reading.from_mapping(said)
    if isinstance(said, Path) or is_path(said):
        return rubric_reading.read_file(Path(said), name=shown(Path(said)))
    return of_text(said, "rubric")


def of_text(text: str, name: str, *, called: str = "") -> Rubric:
    """The shipped rubric of this name, or the one that the text is.

    Args:
        text: what was said.
        name: how errors name the place.
        called: the rubric's name where it says none itself.

    Raises:
        ConfigError: it is neither: a single word that is no shipped name, or the path of a file; with the place.
    """
    word = text.strip()
    if word in SHIPPED:
        return shipped(word)
    if is_path(word):
        raise ConfigError(f"{name}: {word!r:.200} is the name of a file", hint=f"write {{file: {word[:200]}}}")
    near = did_you_mean(word[:80], SHIPPED) if len(word.split()) == 1 else ""
    if near or _NAME.fullmatch(word):
        raise ConfigError(
            f"{name}: there is no rubric {word!r:.80}{near}",
            hint=f"shipped: {', '.join(SHIPPED)}; one of your own is a sentence, or a file",
        )
    return rubric_reading.read(text, name, called=called, origin=name)


def is_path(text: str) -> bool:
    """Whether a text is the path of a file, by its looks: one line without blanks, and a suffix of texts."""
    return len(text.split()) == 1 and PurePosixPath(text).suffix.lower() in _FILES
