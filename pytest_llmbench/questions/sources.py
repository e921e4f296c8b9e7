"""Finds and loads question sets: ours, users' files, and files of public benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions.items import Item, QuestionSet
from pytest_llmbench.questions.own_files import csv_items, jsonl_items
from pytest_llmbench.questions.public_files import READERS
from pytest_llmbench.questions.rows import Place

SHIPPED = Path(__file__).parents[1] / "data" / "questions.jsonl"
SHIPPED_NAME = "llmbench questions"
MAX_ITEMS = 100_000

_KNOWN = f"a .jsonl or .csv file, or one of {', '.join(f'{name}:PATH' for name in READERS)}"


def load(source: str | Path | None = None) -> QuestionSet:
    """A question set.

    Args:
        source: the path of a `.jsonl` or `.csv` file; `gsm8k:PATH`, `mmlu:PATH`, `hellaswag:PATH` or `humaneval:PATH`;
            None for the set that comes with the package.

    Raises:
        UsageError: there is no such file or kind of file, or something in it is wrong; with file and line.
    """
    if source is None:
        return QuestionSet.of(SHIPPED_NAME, _distinct(jsonl_items(SHIPPED)))
    kind, colon, path = str(source).partition(":")
    if colon and kind in READERS:
        place = _there(Path(path).expanduser())
        return QuestionSet.of(f"{kind}:{place.name}", _distinct(READERS[kind](place), repeats=True))
    file = _there(Path(source).expanduser())
    items = {".jsonl": jsonl_items, ".csv": csv_items}.get(Path(file.name.removesuffix(".gz")).suffix.lower())
    if items is None:
        raise UsageError(f"{source} is no question file that can be read", hint=f"it is to be {_KNOWN}")
    return QuestionSet.of(file.name, _distinct(items(file)))


def _there(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"there is no question file {path}", hint=f"name {_KNOWN}")
    return path


def _check_new(what: str, text: str, seen: dict[str, Place], place: Place) -> None:
    if text in seen:
        raise place.error(f"the {what} {text[:60]!r} stands in line {seen[text].line} of {seen[text].file.name}, too")
    seen[text] = place


def _distinct(found: Iterable[tuple[Place, Item]], *, repeats: bool = False) -> tuple[Item, ...]:
    """The items; a question asked twice would count double, and is refused except where others published it so."""
    ids: dict[str, Place] = {}
    prompts: dict[str, Place] = {}
    items = []
    for place, item in found:
        _check_new("id", item.id, ids, place)
        if not repeats:
            _check_new("prompt", item.prompt, prompts, place)
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise place.error(f"more than {MAX_ITEMS} questions")
    if not items:
        raise UsageError("there are no questions in the file", hint=f"name {_KNOWN}")
    return tuple(items)
