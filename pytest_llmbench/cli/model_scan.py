"""`llmbench models scan`: the GGUF files below a folder, and what to write into llmbench.yaml to use them."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from pytest_llmbench.cli import screen
from pytest_llmbench.cli.models import store_of
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.models import ollama
from pytest_llmbench.models.folder import ModelFolder
from pytest_llmbench.models.gguf_split import part_name
from pytest_llmbench.models.likeness import Known
from pytest_llmbench.models.note import hash_file
from pytest_llmbench.models.scan import Found, Scan, What, scan

_ENDINGS = {
    What.KNOWN: "defined",
    What.LIKELY: "like defined ones",
    What.UNKNOWN: "new",
    What.NO_MODEL: "no model",
    What.DAMAGED: "damaged",
}


def scan_folder(arguments: argparse.Namespace) -> int:
    """Print what lies below a folder, and the definitions that are missing."""
    store = store_of(arguments)
    known = [
        Known(one.name, one.source, Path(one.path) if one.present else None, one.size_bytes, one.sha256)
        for one in store.entries()
    ]
    folder = Path(arguments.folder).expanduser()
    with screen.progress() if arguments.hash else contextlib.nullcontext() as update:
        found = scan(folder, known, _hasher(store.folder, update))
    missing = definitions(found.found)
    if arguments.json:
        files = [dataclasses.asdict(one) for one in found.found]
        screen.show_json({**dataclasses.asdict(found), "found": files, "definitions": missing})
        return ExitCode.OK
    _show(found)
    if ollamas := ollama.names(folder):
        away = "" if folder.absolute() in ollama.folders() else ", with OLLAMA_MODELS set to this folder"
        screen.show_line(f"Ollama's models here, as sources{away}: {', '.join(f'ollama:{name}' for name in ollamas)}")
    if missing:
        print("\nto use what is new, put this under `models:` in llmbench.yaml:\n")
        print(missing, end="")
    return ExitCode.OK


def definitions(found: Iterable[Found]) -> str:
    """What is new, as YAML that goes under `models:`; in ASCII, so that no file's name can steer a terminal."""
    new: dict[str, dict[str, Found]] = {}
    for one in found:
        # A name that is no text in UTF-8 cannot stand in a YAML file.
        if one.what is What.UNKNOWN and one.path.isprintable():
            new.setdefault(_free_name(new, one), {})[_quantization(one)] = one
    lines = []
    for name, quants in new.items():
        lines += [f"  {name}:", "    quants:"]
        for quant, one in quants.items():
            pin = f", sha256: {one.sha256}" if one.sha256 else ""
            lines.append(f"      {quant}: {{source: {_quoted(f'path:{one.path}')}{pin}}}")
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    """In double quotes as YAML has them: unlike JSON it takes no pairs of surrogates."""
    return "".join(c if c.isascii() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False))


def _free_name(taken: dict[str, dict[str, Found]], one: Found) -> str:
    """The file's name, with a number where another file has the same name and quantization."""
    names = [one.name, *(f"{one.name}-{n}" for n in range(2, len(taken) + 3))]
    return next(name for name in names if _quantization(one) not in taken.get(name, {}))


def _quantization(one: Found) -> str:
    return one.quantization or "unknown"


def _hasher(folder: ModelFolder, update: screen.Progress | None) -> Callable[[Path], str | None]:
    """Hashes as they are noted; with progress to tell, those of all other files too."""

    def known_hash(file: Path) -> str | None:
        note = folder.note(file)
        if note is not None and note.fits(file):
            return note.sha256
        if update is None:
            return None
        size_bytes = file.stat().st_size
        return hash_file(file, lambda done: update(done, size_bytes, f"reading {file.name}"))

    return known_hash


def _show(found: Scan) -> None:
    root = Path(found.folder).absolute()
    rows = [
        (_named(one, root), screen.size(one.size_bytes), one.quantization or "–", _told(one)) for one in found.found
    ]
    if rows:
        screen.show_table(("file", "size", "quant", "what it is"), rows, cut=("file", "what it is"))
    for one in found.found:
        if one.what is What.DAMAGED:
            screen.show_line(f"damaged: {one.reason}")
    for line in found.not_looked_at:
        screen.show_line(f"not looked at: {line}")
    counts = Counter(one.what for one in found.found)
    told = ", ".join(f"{counts[what]} {ending}" for what, ending in _ENDINGS.items() if counts[what])
    total = sum(one.size_bytes for one in found.found)
    if rows:
        print(f"{len(rows)} {'file' if len(rows) == 1 else 'files'}, {screen.size(total)}: {told}")
    else:
        print("no .gguf files there")


def _named(one: Found, root: Path) -> str:
    path = Path(one.path).relative_to(root)
    named = part_name(path)
    return f"{path.with_name(named[0])} ({one.parts} of {named[2]} parts)" if named else str(path)


def _told(one: Found) -> str:
    match one.what:
        case What.KNOWN:
            return f"= {one.match} ({one.reason})"
        case What.LIKELY:
            return f"looks like {one.match} ({one.reason})"
        case What.NO_MODEL:
            return f"no model: {one.reason}"
        case What.DAMAGED:
            return "damaged"
        case _:
            return f"new: {one.architecture or 'unknown architecture'}{_parameters(one.parameter_count)}"


def _parameters(count: int | None) -> str:
    if not count:
        return ""
    return f", {count / 1e9:.1f}B" if count >= 1e9 else f", {max(count / 1e6, 0.1):.3g}M"
