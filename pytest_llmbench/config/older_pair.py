"""The older pair of files, `config.yaml` and `models.yaml`, as one llmbench.yaml.

    models.yaml:  models: [{name, size, repo, base_filename, files: {QUANT: file} or quants: [QUANT, ...]}]
    config.yaml:  what to run and how, in flat keys or in sections of any name

What is not understood is not dropped in silence: each such key comes back as a note with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.config import fields
from pytest_llmbench.config.matrix_schema import PROFILES
from pytest_llmbench.config.strict_yaml import Document, KeyPath, dotted
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.options import BY_NAME

_FILES = ("files", "quants", "quantizations", "quantisations")
_UNDERSTOOD = frozenset({"name", "repo", "repo_id", "base_filename", *_FILES})
_TOLD_BY_FILE = frozenset({"size", "parameters", "params", "family"})
"""What the files themselves tell, so that nobody has to write it."""
_NAMES: Mapping[str, str] = {
    "output_dir": "results_dir",
    "results_folder": "results_dir",
    "models_folder": "models_dir",
    "model_dir": "models_dir",
    "context_size": "context",
    "ctx_size": "context",
    "n_ctx": "context",
    "n_threads": "threads",
    "n_gpu_layers": "gpu_layers",
    "ngl": "gpu_layers",
    "load_timeout": "load_timeout_s",
    "timeout": "total_timeout_s",
    "request_timeout": "total_timeout_s",
    "max_tokens": "output_tokens",
    "n_predict": "output_tokens",
    "repetitions": "rounds",
    "runs": "rounds",
    "monitor_interval": "monitor_interval_s",
}
"""Older key → the option of today; an option's own name means itself."""
_LIMITS: Mapping[str, str] = {
    "max_ttft": "ttft_s",
    "max_ttft_s": "ttft_s",
    "min_tps": "decode_tps",
    "min_tokens_per_second": "decode_tps",
}
"""Older key → the limit beyond which a configuration is poor."""
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of the pair."""

    data: Mapping[str, Any]
    """The new file; it holds against the schema of llmbench.yaml."""
    notes: tuple[str, ...]
    """What was not taken over, with file, line and reason."""


def imported(models: Document, config: Document | None, *, beside: Path = Path()) -> Imported:
    """The pair as one file.

    Args:
        models: `models.yaml`.
        config: `config.yaml`; None where there is none.
        beside: the folder of `models.yaml`, as seen from that of the new file: paths start there.

    Raises:
        ConfigError: a model lacks what is needed to find its files; with file and line.
    """
    notes: list[str] = []
    made = dict(_models(models, beside, notes))
    data: dict[str, Any] = {"models": made}
    matrix: dict[str, Any] = {"models": list(made)}
    if config is not None:
        defaults = dict(_settings(config, matrix, notes))
        data |= {"defaults": defaults} if defaults else {}
    return Imported({**data, "matrix": matrix}, tuple(notes))


def _models(document: Document, beside: Path, notes: list[str]) -> Iterator[tuple[str, Any]]:
    listed = document.data.get("models")
    entries: list[tuple[KeyPath, Mapping[str, Any]]]
    if isinstance(listed, Mapping):
        entries = [(("models", key), {"name": key, **_mapping(entry)}) for key, entry in listed.items()]
    elif isinstance(listed, list) and listed:
        entries = [(("models", place), _mapping(entry)) for place, entry in enumerate(listed)]
    else:
        raise _problem(document, ("models",), "no models are listed", "`models:` is a list of name, repo and files")
    seen: dict[str, KeyPath] = {}
    for path, entry in entries:
        name = _name(document, path, entry)
        if name in seen:
            raise _problem(document, path, f"{name} stands here twice, first in line {document.line(seen[name])}")
        seen[name] = path
        yield name, {"quants": dict(_quants(document, beside, path, entry))}
        unknown = [key for key in entry if key not in _UNDERSTOOD | _TOLD_BY_FILE]
        notes += [_note(document, (*path, key), "no model of llmbench.yaml has it") for key in unknown]


def _mapping(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {}


def _name(document: Document, path: KeyPath, entry: Mapping[str, Any]) -> str:
    told = entry.get("name")
    name = _NO_NAME.sub("-", str(told)).strip("-.").lower() if told else ""
    try:
        return fields.name(name)
    except ValueError as error:
        raise _problem(document, path, f"no model can be called {told!r}: {error}") from error


def _quants(document: Document, beside: Path, path: KeyPath, entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    key = next((key for key in _FILES if entry.get(key)), "")
    if not key:
        raise _problem(document, path, "no files are told", "`files: {Q4_K_M: name.gguf}`, or `quants: [Q4_K_M]`")
    told, repo = entry[key], entry.get("repo") or entry.get("repo_id") or ""
    if isinstance(told, Mapping):
        files = {str(quant): _file(each) for quant, each in told.items()}
    elif base := str(entry.get("base_filename") or ""):
        files = {str(quant): f"{base.removesuffix('.gguf')}-{quant}.gguf" for quant in told}
    else:
        raise _problem(document, (*path, key), "quantizations without files need a base_filename")
    for quant, file in files.items():
        source = f"hf:{repo}/{file}" if repo else str(beside / file) if file else ""
        try:
            yield quant, {"source": fields.source(source)}
        except ValueError as error:
            raise _problem(document, (*path, key, quant), f"{quant}: {error}") from error


def _file(told: Any) -> str:
    """A file's name; of an entry with more about it, its name; of a split one, its first part."""
    if isinstance(told, Mapping):
        told = told.get("filename") or told.get("file") or told.get("name") or ""
    if isinstance(told, Sequence) and not isinstance(told, str):
        told = told[0] if told else ""
    return str(told)


def _settings(document: Document, matrix: dict[str, Any], notes: list[str]) -> Iterator[tuple[str, Any]]:
    for path, value in _leaves(document.data, ()):
        key = str(path[-1]).lower()
        name = _NAMES.get(key, key)
        if key in _LIMITS and isinstance(value, int | float):
            matrix.setdefault("limits", {})[_LIMITS[key]] = value
        elif key in {"profiles", "quants", "quantizations"}:
            _narrow(document, path, value, matrix, notes)
        elif (why := _refused(name, value)) is None:
            yield name, value
        else:
            notes.append(_note(document, path, why))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Each key that holds something, but for sections: those are looked into."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item and key not in {"profiles", "quants", "quantizations"}:
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), item


def _narrow(document: Document, path: KeyPath, value: Any, matrix: dict[str, Any], notes: list[str]) -> None:
    """What the matrix is narrowed to: a list, or a mapping whose values say whether."""
    chosen = [str(key) for key, wanted in value.items() if _is_wanted(wanted)] if isinstance(value, Mapping) else value
    if not isinstance(chosen, list):
        notes.append(_note(document, path, "is no list"))
        return
    if path[-1] != "profiles":
        matrix["quants"] = [str(each) for each in chosen]
        return
    named = [str(each).replace("-", "_").lower() for each in chosen]
    notes += [_note(document, path, f"no profile is called {each!r}") for each in named if each not in PROFILES]
    if known := [each for each in named if each in PROFILES]:
        matrix["profiles"] = known


def _is_wanted(value: Any) -> bool:
    return bool(value.get("enabled", True)) if isinstance(value, Mapping) else value is not False


def _refused(name: str, value: Any) -> str | None:
    """Why an option cannot be set to it; None where it can."""
    option = BY_NAME.get(name)
    if option is None:
        return "no setting of today is called so"
    if reason := option.refusal(in_yaml=True):
        return reason
    try:
        option.parse(",".join(map(str, value)) if isinstance(value, list) else str(value))
    except ValueError as error:
        return f"{value!r:.80} {error}"
    return None


def _note(document: Document, path: KeyPath, why: str) -> str:
    return f"{document.name}:{document.line(path)}: {dotted(path)} was not taken over: {why}"


def _problem(document: Document, path: KeyPath, what: str, hint: str = "") -> ConfigError:
    return ConfigError(f"{document.name}:{document.line(path)}: {dotted(path)}: {what}", hint=hint)
