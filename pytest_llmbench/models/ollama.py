"""Models that Ollama has downloaded, found in its folder and used in place: `ollama:NAME[:TAG]`.

    MODELS/manifests/registry.ollama.ai/library/NAME/TAG    JSON: the layers of a model
    MODELS/blobs/sha256-HEX                                 a layer; that of type `...image.model` is a GGUF

Nothing is asked of a running Ollama, and nothing is written. What a manifest says is believed only after checks: it
chooses a file by its sha256 alone, never by a path.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.config import source_forms
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError

PREFIX = "ollama:"
_HOST, _SPACE, _TAG = "registry.ollama.ai", "library", "latest"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BLOB = re.compile(r"sha256-([0-9a-f]{64})")
_LAYER = "application/vnd.ollama.image."
MAX_MANIFEST_BYTES = 1 << 20
_MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class _Name:
    """A model's name as Ollama's folder spells it."""

    host: str
    space: str
    model: str
    tag: str

    @property
    def shown(self) -> str:
        """As short as `ollama list` writes it."""
        home = f"{self.host}/" if self.host != _HOST else ""
        space = f"{self.space}/" if home or self.space != _SPACE else ""
        return f"{home}{space}{self.model}:{self.tag}"


def folders() -> list[Path]:
    """Where Ollama keeps models on this machine: `OLLAMA_MODELS` alone where it is set, else the usual places."""
    if chosen := os.environ.get("OLLAMA_MODELS", "").strip():
        return [Path(chosen).expanduser().absolute()]
    return [Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]


def locate(source: str) -> Path:
    """The GGUF file of a model that Ollama has downloaded.

    Args:
        source: `ollama:llama3.2`, `ollama:llama3.2:1b`, `ollama:someone/model:tag`, `ollama:hf.co/someone/model:tag`.

    Returns:
        `.../blobs/sha256-HEX`; it has the size that the manifest tells, its hash is not checked here.

    Raises:
        ModelFileError: no such model is here (`model_missing`; near names are offered), or its manifest or file is
            damaged, or not one GGUF (`local.corrupt_model`).
    """
    name = _parsed(source)
    stores = [folder for folder in folders() if _there(folder / "manifests")]
    if not stores:
        raise _missing(
            f"there is no Ollama model folder here (looked for {', '.join(map(_safe, folders()))})",
            "if Ollama keeps its models elsewhere, set OLLAMA_MODELS to that folder",
        )
    for store in stores:
        manifest = store / "manifests" / name.host / name.space / name.model / name.tag
        if _there(manifest):
            return _blob(store, _layers(manifest), name)
    raise _unknown(name, stores)


def check(file: Path, sha256: str) -> None:
    """Hold a file's hash against the one that Ollama calls it by.

    Raises:
        ModelFileError: they differ (`local.corrupt_model`).
    """
    named = _BLOB.fullmatch(file.name)
    if named is None or named[1] != sha256:
        raise _damaged(
            f"Ollama's file {_safe(file)} is not what it is called: it has sha256 {sha256}",
            "the file is damaged: remove the model with `ollama rm` and pull it again",
        )


def names(store: Path) -> list[str]:
    """The models in a folder of Ollama's, as sources without the prefix; empty where it is none or unreadable."""
    if not (store / "blobs").is_dir():
        return []
    return sorted(name.shown for name in itertools.islice(_known(store), _MAX_NAMES))


def _parsed(source: str) -> _Name:
    parts = source_forms.FORMS[PREFIX].pattern.fullmatch(source)
    if parts is None:
        raise _missing(f"{source!r:.200} does not name a model of Ollama's", "write ollama:NAME or ollama:NAME:TAG")
    return _Name(parts["host"] or _HOST, parts["space"] or _SPACE, parts["model"], parts["tag"] or _TAG)


def _known(store: Path) -> Iterator[_Name]:
    for host, space, model, tag in _walked(store / "manifests", 4):
        yield _Name(host, space, model, tag)


def _walked(folder: Path, depth: int) -> Iterator[tuple[str, ...]]:
    """The names on the way to everything `depth` levels below a folder; hidden ones and links left out."""
    inside: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        inside = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(inside, key=lambda entry: entry.name):
        if depth == 1 and entry.is_file(follow_symlinks=False):
            yield (entry.name,)
        elif depth > 1 and entry.is_dir(follow_symlinks=False):
            yield from ((entry.name, *rest) for rest in _walked(Path(entry.path), depth - 1))


def _layers(manifest: Path) -> list[Mapping[str, Any]]:
    try:
        if not stat.S_ISREG(manifest.stat().st_mode):
            raise _damaged(f"the manifest {_safe(manifest)} is not a file")
        with manifest.open("rb") as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise _unreadable(manifest, error) from error
    if len(text) > MAX_MANIFEST_BYTES:
        raise _damaged(f"the manifest {_safe(manifest)} is larger than {MAX_MANIFEST_BYTES >> 20} MiB")
    try:
        layers = json.loads(text)["layers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(f"the manifest {_safe(manifest)} is not one of Ollama's") from error
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise _damaged(f"the manifest {_safe(manifest)} lists no layers")
    return layers


def _blob(store: Path, layers: list[Mapping[str, Any]], name: _Name) -> Path:
    """The file of the one layer that is a model."""
    models = [layer for layer in layers if layer.get("mediaType") == f"{_LAYER}model"]
    if len(models) != 1:
        raise _damaged(f"Ollama's {name.shown} has {len(models)} GGUF files; one is needed", "take another model")
    if any(layer.get("mediaType") == f"{_LAYER}adapter" for layer in layers):
        raise _damaged(
            f"Ollama's {name.shown} is a model with an adapter, which an engine would be started without",
            "merge the adapter into the model, and name the merged file",
        )
    digest = _DIGEST.fullmatch(str(models[0].get("digest")))
    if digest is None:
        raise _damaged(f"the manifest of Ollama's {name.shown} names no sha256: {models[0].get('digest')!r:.100}")
    return _checked(store / "blobs" / f"sha256-{digest[1]}", models[0].get("size"), name)


def _checked(blob: Path, size_bytes: object, name: _Name) -> Path:
    try:
        found = blob.stat()
    except FileNotFoundError as error:
        raise _missing(
            f"Ollama knows {name.shown}, but its file is gone: {_safe(blob)}", f"ollama pull {name.shown}"
        ) from error
    except OSError as error:
        raise _unreadable(blob, error) from error
    if found.st_size != size_bytes:
        raise _damaged(
            f"the file of Ollama's {name.shown} has {found.st_size} bytes, its manifest says {size_bytes!r:.30}: "
            f"{_safe(blob)}",
            f"ollama pull {name.shown}",
        )
    return blob


def _unknown(name: _Name, stores: list[Path]) -> ModelFileError:
    known = sorted({one.shown for store in stores for one in itertools.islice(_known(store), _MAX_NAMES)})
    near = difflib.get_close_matches(name.shown, known, n=3, cutoff=0.5)
    near += [one for one in known if one.partition(":")[0] == name.shown.partition(":")[0] and one not in near]
    offered = f"did you mean {' or '.join(f'ollama:{one}' for one in near[:3])}? " if near else ""
    return _missing(
        f"Ollama has no model {name.shown} in {', '.join(map(_safe, stores))} ({len(known)} others are there)",
        f"{offered}`ollama pull {name.shown}` fetches it",
    )


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ModelFileError:
    return _missing(
        f"cannot read Ollama's {_safe(path)}: {error.strerror or error}",
        "Ollama's service keeps its files to itself: join its group (usually `ollama`), or copy the model",
    )


def _missing(message: str, hint: str) -> ModelFileError:
    return ModelFileError(display_safe(message, keep=""), category=Category.MODEL_MISSING, hint=hint)


def _damaged(message: str, hint: str = "") -> ModelFileError:
    return ModelFileError(
        display_safe(message, keep=""),
        category=Category.LOCAL_CORRUPT_MODEL,
        hint=hint or "`ollama rm` the model and pull it again",
    )


def _safe(path: Path) -> str:
    return display_safe(str(path), keep="")
