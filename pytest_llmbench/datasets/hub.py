"""Rows of Hugging Face datasets, `hf:NAME[:CONFIG][:SPLIT]`; needs the `datasets` package. No code of theirs is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench.datasets.parquet import plain
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra
from pytest_llmbench.questions.rows import Place

PREFIX = "hf:"
_NAME = re.compile(r"hf:(?P<name>[\w.-]+(/[\w.-]+)?)(:(?P<config>[\w.-]*))?(:(?P<split>[\w.-]+))?", re.ASCII)
_FORM = "hf:owner/name, hf:owner/name:config or hf:owner/name:config:split; an empty config is the default one"


def rows(source: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The rows of a dataset, streamed: what is not read is not fetched.

    Args:
        source: `hf:openai/gsm8k:main:test`. Without a split it is `test`, or the only one there is.

    Raises:
        MissingExtraError: the `datasets` package is not installed.
        UsageError: there is no such dataset, or it cannot be read.
    """
    said = _NAME.fullmatch(source)
    if said is None or ".." in source:
        raise UsageError(f"{source!r} names no Hugging Face dataset", hint=_FORM)
    library = from_extra("datasets", "hub")
    file = Path(source)
    for number, row in enumerate(_opened(library, source, said), start=1):
        place = Place(file, number, "row")
        yield place, {str(name): plain(value, place) for name, value in row.items()}


def _opened(library: Any, source: str, said: re.Match[str]) -> Iterator[Mapping[str, Any]]:
    """The library raises what its many parts raise; each of them means that the dataset cannot be had."""
    name, config = said["name"], said["config"] or None
    try:
        splits = library.get_dataset_split_names(name, config)
        split = _split(source, said["split"], splits)
        found = library.load_dataset(name, config, split=split, streaming=True)
        yield from _undecoded(library, found)
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{source} cannot be read: {why}", hint=_FORM) from None


def _split(source: str, wanted: str | None, splits: list[str]) -> str:
    split = wanted or ("test" if "test" in splits else splits[0] if len(splits) == 1 else "")
    if split not in splits:
        raise UsageError(f"{source} has the splits {', '.join(splits)}", hint=f"name one: {_FORM}")
    return split


def _undecoded(library: Any, found: Any) -> Any:
    """Pictures and sounds as the files they are: to be sent, not to be looked at."""
    for column, feature in (found.features or {}).items():
        if isinstance(feature, library.Image | library.Audio):
            found = found.cast_column(column, type(feature)(decode=False))
    return found
