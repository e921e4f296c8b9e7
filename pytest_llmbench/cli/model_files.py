"""`llmbench models verify|rm|prune`: look after the model files on this disk."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_llmbench.cli import screen
from pytest_llmbench.cli.consent import agreed
from pytest_llmbench.cli.models import store_of
from pytest_llmbench.errors import Category, ExitCode, ModelFileError, UsageError
from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models import upkeep
from pytest_llmbench.models.folder import storage_errors
from pytest_llmbench.models.model_store import ModelEntry, ModelStore
from pytest_llmbench.models.upkeep import Leftover
from pytest_llmbench.models.verify import State, Verdict, to_verify, verify

_AGES = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def verify_models(arguments: argparse.Namespace) -> int:
    """Read every byte of the models' files and tell whether they are what they were."""
    store = store_of(arguments)
    names = [store.check_name(name) for name in arguments.names] or to_verify(store)
    verdicts = _verified(store, list(dict.fromkeys(names)))
    if arguments.json:
        screen.show_json([dataclasses.asdict(verdict) for verdict in verdicts])
    else:
        _show_verdicts(verdicts)
    return ExitCode.TESTS_FAILED if any(verdict.state.is_bad for verdict in verdicts) else ExitCode.OK


def remove(arguments: argparse.Namespace) -> int:
    """Remove models from the models folder; asks first. All names are checked before the first is removed."""
    store = store_of(arguments)
    entries = [_removable(store, name) for name in dict.fromkeys(map(store.check_name, arguments.names))]
    for entry in entries:
        screen.show_line(f"{entry.name}  {screen.size(entry.size_bytes)}  {entry.path}")
    if not (arguments.yes or agreed(f"remove {_count(len(entries), 'model')}")):
        print("nothing removed")
        return ExitCode.OK
    for entry in entries:
        freed = upkeep.remove_model(store.folder, entry.name, Path(entry.path))
        screen.show_line(f"removed {entry.name}, {screen.size(freed)} freed")
    _show_usage(store)
    return ExitCode.OK


def prune(arguments: argparse.Namespace) -> int:
    """Remove what nobody needs any more from the models folder; asks first."""
    store, oldest_s = store_of(arguments), _seconds(arguments.older_than)
    found = upkeep.leftovers(store.folder)
    others = upkeep.unnamed(store.folder, [Path(entry.path) for entry in store.entries() if entry.path])
    chosen = [left for left in (*found, *(others if arguments.all else ())) if left.age_s >= oldest_s]
    _show_leftovers(store, chosen)
    if others and not arguments.all:
        size = screen.size(sum(left.size_bytes for left in others))
        print(f"{_count(len(others), 'model')} that nothing names here ({size}) may be another project's: --all")
    if not chosen:
        print("nothing to remove")
    elif arguments.dry_run:
        print(f"would free {screen.size(sum(left.size_bytes for left in chosen))}")
    elif arguments.yes or agreed(f"remove {_count(len(chosen), 'leftover')}"):
        with storage_errors(store.folder.root):
            freed = sum(map(upkeep.remove, chosen))
        print(f"{screen.size(freed)} freed")
    else:
        print("nothing removed")
    _show_usage(store)
    return ExitCode.OK


def _verified(store: ModelStore, names: Sequence[str]) -> list[Verdict]:
    total = sum(store.entry(name).size_bytes or 0 for name in names)
    verdicts: list[Verdict] = []
    with screen.progress() as update:
        for name in names:
            before = sum(one.size_bytes for one in verdicts)
            verdicts.append(verify(store, name, _reading(update, name, before, total)))
    return verdicts


def _reading(update: screen.Progress, name: str, before: int, total: int) -> Callable[[int], None]:
    return lambda done: update(before + done, total, f"reading {name}")


def _show_verdicts(verdicts: Sequence[Verdict]) -> None:
    rows = [(one.name, one.state, screen.size(one.size_bytes or None), one.against or "–") for one in verdicts]
    if rows:
        screen.show_table(("model", "state", "size", "held against"), rows, cut=("model",))
    for one in verdicts:
        if one.detail:
            screen.show_line(f"{one.name} is {one.state}: {one.detail}")
        if one.suspicions:
            screen.show_line(f"warning: the chat template of {one.name} reaches for {', '.join(one.suspicions)}")
    counts = Counter(one.state for one in verdicts)
    total = screen.size(sum(one.size_bytes for one in verdicts))
    told = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    print(f"{_count(len(rows), 'model')}, {total}: {told}" if rows else "no models are here")


def _removable(store: ModelStore, name: str) -> ModelEntry:
    """What is known of a model that may be removed.

    Raises:
        UsageError: its file is not ours.
        ModelFileError: there is nothing of it here.
    """
    entry = store.entry(name)
    made_here = entry.source.startswith(model_checks.QUANTIZED_PREFIX)
    if not made_here and not model_checks.is_downloaded(entry.source):
        raise UsageError(
            f"{name} is not in the models folder but where its owner keeps it: {entry.path or entry.source}",
            hint="take it out of llmbench.yaml to forget it; its file is yours (or Ollama's) to remove",
        )
    first = Path(entry.path)
    if not upkeep.files_of(store.folder, first) and not upkeep.unfinished(store.folder, first):
        raise ModelFileError(
            f"there is nothing of {name} in the models folder",
            category=Category.MODEL_MISSING,
            hint="`llmbench models list` shows what is here",
        )
    return entry


def _show_leftovers(store: ModelStore, chosen: Sequence[Leftover]) -> None:
    if chosen:
        rows = [
            (left.what, _age(left.age_s), screen.size(left.size_bytes), _below(store.folder.root, left.paths[0]))
            for left in chosen
        ]
        screen.show_table(("leftover", "age", "size", "path"), rows, cut=("path",))


def _show_usage(store: ModelStore) -> None:
    screen.show_line(f"{screen.size(upkeep.disk_usage_bytes(store.folder))} in {store.folder.root}")


def _seconds(age: str) -> float:
    told = re.fullmatch(r"(\d{1,6})([hdw])", age.strip())
    if told is None:
        raise UsageError(f"{age!r:.40} is no age", hint="a number of hours, days or weeks: 12h, 30d, 4w")
    return int(told[1]) * _AGES[told[2]]


def _age(seconds: float) -> str:
    if seconds >= _AGES["d"]:
        return f"{seconds / _AGES['d']:.0f} d"
    return f"{seconds / _AGES['h']:.0f} h" if seconds >= _AGES["h"] else "< 1 h"


def _below(root: Path, path: Path) -> str:
    return str(path.relative_to(root))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
