"""What a verb of `llmbench` is, and the arguments that several take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a verb."""

    names: tuple[str, ...]
    help: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """The rest of what argparse wants to know: metavar, nargs, choices, default, action."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb."""

    words: tuple[str, ...]
    help: str
    target: str
    """`module:function` in this package; called with the parsed arguments, returns the exit status."""
    arguments: tuple[Argument, ...] = ()
    settings: tuple[str, ...] = ()
    """Options of options.py it takes, by their short names."""

    @property
    def name(self) -> str:
        return " ".join(self.words)


JSON = Argument(("--json",), "print JSON", {"action": "store_true"})
ROOTDIR = Argument(
    ("--rootdir",), "the project's root directory (default: found as pytest finds it)", {"metavar": "DIR"}
)
MODEL = Argument(("name",), "the model: name:QUANT, or the path of a GGUF file", {"metavar": "MODEL"})
YES = Argument(("-y", "--yes"), "do not ask", {"action": "store_true"})
SOURCE = Argument(
    ("source",),
    "a .jsonl or .csv file, or gsm8k:PATH, mmlu:PATH, hellaswag:PATH, humaneval:PATH (default: the shipped set)",
    {"metavar": "SOURCE", "nargs": "?"},
)
USECASE = Argument(("folder",), "the use case's folder", {"metavar": "FOLDER"})
RUN = Argument(("run",), "its id, the beginning of it, or last", {"metavar": "RUN"})
DATABASE = Argument(("file",), "the database (default: the project's results.db)", {"metavar": "FILE", "nargs": "?"})
MODEL_SETTINGS = ("config", "models_dir", "offline")
RESULT_SETTINGS = ("config", "results_dir")
