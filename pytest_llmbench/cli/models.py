"""`llmbench models`: the local model files."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pytest_llmbench.cli import project, screen
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import gguf
from pytest_llmbench.servers.models import ModelStore, default_folder

_LONGEST_VALUE = 200
"""Characters of one metadata value; chat templates and vocabularies go on for pages."""


def list_models(arguments: argparse.Namespace) -> int:
    """Print every known model and whether its file is here."""
    entries = _store(arguments).entries()
    if arguments.json:
        screen.show_json([entry.as_dict() for entry in entries])
        return ExitCode.OK
    rows = [
        (
            entry.name,
            "here" if entry.present else "not fetched",
            screen.size(entry.size_bytes),
            _provenance(entry.source, entry.requantized_from),
        )
        for entry in entries
    ]
    screen.show_table(("model", "file", "size", "from"), rows)
    return ExitCode.OK


def pull(arguments: argparse.Namespace) -> int:
    """Fetch models; all names are checked before the first is fetched."""
    store = _store(arguments)
    for name in [store.check_name(name) for name in arguments.names]:
        _announce(_with_progress(lambda update, name=name: store.pull(name, update)))  # type: ignore[misc]
    return ExitCode.OK


def quantize(arguments: argparse.Namespace) -> int:
    """Make a smaller file of a model."""
    store = _store(arguments)
    _announce(_with_progress(lambda update: store.quantize(arguments.name, arguments.quant, update)))
    return ExitCode.OK


def show(arguments: argparse.Namespace) -> int:
    """Print where a model's file is and what its header says; the header is read, never the weights."""
    store = _store(arguments)
    file = store.find(store.check_name(arguments.name))
    header = gguf.read_header(file.path)
    if arguments.json:
        screen.show_json({"file": file.as_dict(), "metadata": {k: _short(v) for k, v in header.metadata.items()}})
        return ExitCode.OK
    facts = [
        ("model", file.label),
        ("path", file.path),
        ("size", screen.size(file.size_bytes)),
        ("sha256", file.sha256),
        ("source", file.source),
        ("GGUF version", str(header.version)),
        ("tensors", str(header.tensor_count)),
    ]
    screen.show_table(("key", "value"), [*facts, *((key, str(_short(v))) for key, v in header.metadata.items())])
    return ExitCode.OK


def _store(arguments: argparse.Namespace) -> ModelStore:
    found = project.resolved(arguments)
    return ModelStore(found.models_dir or default_folder(), found.config.models, offline=found.settings.offline)


def _with_progress(work: Callable[[screen.Progress], ModelFile]) -> ModelFile:
    with screen.progress() as update:
        return work(update)


def _announce(file: ModelFile) -> None:
    screen.show_line(f"{file.label}  {screen.size(file.size_bytes)}  {file.path}")


def _provenance(source: str, requantized_from: str | None) -> str:
    return f"{source} (requantized from {requantized_from})" if requantized_from else source


def _short(value: object) -> object:
    """A metadata value in at most `_LONGEST_VALUE` characters; numbers and truths as they are."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"
