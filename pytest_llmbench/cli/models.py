"""`llmbench models`: the local model files."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable

from pytest_llmbench.cli import model_memory, model_remote, project, screen
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.models import chat_template
from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models.gguf import GgufHeader
from pytest_llmbench.models.gguf_split import read_model
from pytest_llmbench.models.model_store import ModelEntry, ModelStore, default_folder
from pytest_llmbench.records import ModelFile

_VALUE_WIDTH = 200
"""Characters of one metadata value; chat templates and vocabularies go on for pages."""

_BASE_MODEL = "base model, no chat template"
"""It continues texts; what it answers to a question is no measure of how well it does as it is told."""


def list_models(arguments: argparse.Namespace) -> int:
    """Print every known model and whether its file is here, or what providers offer."""
    if arguments.remote:
        return model_remote.list_remote(arguments)
    entries = [entry for entry in store_of(arguments).entries() if model_remote.is_named(entry.label, arguments.filter)]
    if arguments.json:
        screen.show_json([dataclasses.asdict(entry) for entry in entries])
        return ExitCode.OK
    rows = [(entry.label, _whereabouts(entry), screen.size(entry.size_bytes), entry.source) for entry in entries]
    screen.show_table(("model", "file", "size", "from"), rows, cut=("from",))
    return ExitCode.OK


def pull(arguments: argparse.Namespace) -> int:
    """Fetch models, some at a time; all names are checked before the first is fetched."""
    store = store_of(arguments)
    with screen.progress_of_many() as progress_of:
        pulled = store.pull_all(arguments.names, arguments.jobs, progress_of, update=arguments.update)
    if len(pulled) == 1 and pulled[0].error:
        raise pulled[0].error
    for one in pulled:
        if one.file:
            _announce(one.file)
    failed = [one for one in pulled if one.error]
    for one in failed:
        screen.show_problem(f"{one.name}: {one.error}")
    if failed:
        screen.show_problem(f"{len(failed)} of {len(pulled)} models could not be pulled")
    return ExitCode.TESTS_FAILED if failed else ExitCode.OK


def quantize(arguments: argparse.Namespace) -> int:
    """Make a smaller file of a model."""
    store = store_of(arguments)
    _announce(_with_progress(lambda update: store.quantize(arguments.name, arguments.quant, update)))
    return ExitCode.OK


def show(arguments: argparse.Namespace) -> int:
    """Print where a model's file is and what its header says; the header is read, never the weights."""
    store = store_of(arguments)
    file = store.find(store.check_name(arguments.name))
    header = read_model(file.path)
    reaches = chat_template.suspicions(header)
    memory = model_memory.expected(project.resolved(arguments), file)
    if arguments.json:
        told = {"file": file.as_dict(), "chat_template_sha256": header.chat_template_sha256, "suspicions": reaches}
        screen.show_json({**told, "memory": memory, "metadata": _metadata(header)})
        return ExitCode.OK
    facts = [
        ("model", file.label),
        ("path", file.path),
        ("size", screen.size(file.size_bytes)),
        ("sha256", file.sha256),
        ("source", file.source),
        ("quantization", header.quantization),
        ("parameters", f"{header.parameter_count:,}"),
        ("GGUF version", str(header.version)),
        ("tensors", str(header.tensor_count)),
        ("memory", model_memory.sentence(memory)),
        ("kind", "with a chat template" if header.has_chat_template else _BASE_MODEL),
        *([("chat template", f"sha256 {header.chat_template_sha256}")] if header.has_chat_template else []),
        *([("warning", f"its chat template reaches for {', '.join(reaches)}")] if reaches else []),
    ]
    screen.show_table(("key", "value"), [*facts, *header.shown(_VALUE_WIDTH)])
    return ExitCode.OK


def store_of(arguments: argparse.Namespace) -> ModelStore:
    """The models that this project knows."""
    found = project.resolved(arguments)
    folder = found.models_dir or default_folder()
    return ModelStore(folder, found.config.models, offline=found.settings.offline, lock=found.lock_path)


def _with_progress(work: Callable[[screen.Progress], ModelFile]) -> ModelFile:
    with screen.progress() as update:
        return work(update)


def _announce(file: ModelFile) -> None:
    screen.show_line(f"{file.label}  {screen.size(file.size_bytes)}  {file.path}")


def _metadata(header: GgufHeader) -> dict[str, object]:
    """Numbers and truths as they are, all else as it is shown to people."""
    values = zip(header.shown(_VALUE_WIDTH), header.metadata.values(), strict=True)
    return {key: value if _is_number(value) else text for (key, text), value in values}


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _whereabouts(entry: ModelEntry) -> str:
    if not entry.present:
        return "not fetched" if model_checks.is_downloaded(entry.source) else "not there"
    return "here (base model)" if entry.has_chat_template is False else "here"
