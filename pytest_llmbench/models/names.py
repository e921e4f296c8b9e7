"""How models are named: `model:QUANT`, `model` where that is enough, or the path of a GGUF file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from pytest_llmbench.config import source_forms
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import UnknownModelError
from pytest_llmbench.models.gguf_types import FILE_TYPE_IDS

PATH_PREFIX = source_forms.PATH
_PATH_STARTS = (PATH_PREFIX, "/", "./", "../", "~")
_QUANT_SUFFIX = re.compile(rf"[-._]({'|'.join(FILE_TYPE_IDS)})$", re.IGNORECASE)


def is_path(name: str) -> bool:
    """Whether the name is the path of a file (`lab/model` is a model of an external server, not a path)."""
    return name.startswith(_PATH_STARTS) or name.casefold().endswith(".gguf")


def split(name: str) -> tuple[str, str]:
    """Model and quantization of a full name."""
    model, _, quant = name.partition(":")
    return model, quant


def model_of(name: str) -> str:
    """The model's name without its quantization; of a path, the file's name without its."""
    if not is_path(name):
        return split(name)[0]
    stem = _QUANT_SUFFIX.sub("", Path(name).stem)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "model"


def match(name: str, defined: Iterable[str], known: Iterable[str]) -> str:
    """The full name that a name, in any case and perhaps without its quantization, stands for.

    Args:
        name: as a user typed it.
        defined: full names from configuration; a model alone is looked for here first, so that what `quantize` made on
            this machine does not turn a name that works elsewhere into an ambiguous one.
        known: all full names.

    Raises:
        UnknownModelError: nobody knows it, or the model comes in several quantizations.
    """
    known, wanted = list(known), name.casefold()
    exact = [one for one in known if one.casefold() == wanted]
    if exact:
        return exact[0]
    for candidates in (defined, known):
        found = sorted(one for one in candidates if split(one)[0].casefold() == wanted)
        if len(found) > 1:
            raise UnknownModelError(f"{name} comes in several quantizations", hint=f"name one of {', '.join(found)}")
        if found:
            return found[0]
    raise _unknown(name, known)


def _unknown(name: str, known: list[str]) -> UnknownModelError:
    spelled = {one.casefold(): one for one in [*known, *(split(one)[0] for one in known)]}
    near = difflib.get_close_matches(name.casefold(), spelled, n=3, cutoff=0.5)
    offered = f"did you mean {' or '.join(spelled[one] for one in near)}? " if near else ""
    return UnknownModelError(
        f"no model is named {display_safe(name, keep='')!r:.200}",
        hint=f"{offered}`llmbench models list` shows all; llmbench.yaml (models:) adds more, "
        "and the path of a .gguf file is a name too; models of APIs are named provider/model (openai/gpt-5-mini)",
    )
