"""Question files of well-known benchmarks, read where they lie on disk, in the form their authors publish them.

The prompts are ours: they state the form of the answer, because a reply is scored by its whole answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions.items import Item
from pytest_llmbench.questions.rows import Place, csv_rows, json_rows
from pytest_llmbench.validators.choices import LETTERS
from pytest_llmbench.validators.numeric import number

Items = Iterator[tuple[Place, Item]]

_NUMBER_FORM = "Think step by step. Then write the result on a last line of its own, as: Final answer: <number>"
_LETTER_FORM = "Reply with the letter of the right option only."
_ENDING = re.compile(r"####\s*(\S[^\n]{0,40})\s*$")
_MMLU_NAME = re.compile(r"(?:_(?:test|dev|val))?$")


def gsm8k(file: Path) -> Items:
    """GSM8K's JSONL: `question`, and `answer` that ends in `#### 72`.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    for place, row in json_rows(file):
        ending = _ENDING.search(_text(row, "answer", place))
        answer = ending[1].replace(",", "").strip() if ending else ""
        if number(answer) is None:
            raise place.error("the answer does not end in `#### <number>`", hint="is this a file of GSM8K?")
        prompt = f"{_text(row, 'question', place)}\n\n{_NUMBER_FORM}"
        yield place, Item(f"gsm8k-{place.line}", "maths", "medium", prompt, answer, "number", source="GSM8K")


def mmlu(path: Path) -> Items:
    """MMLU's CSV files, one a subject, without heads: the question, four options, the letter.

    Args:
        path: one file, or a folder of them.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"there is no CSV file in {path}", hint="name a folder of MMLU's, such as data/test")
    for file in files:
        subject = _MMLU_NAME.sub("", file.stem)
        for place, row in csv_rows(file):
            yield place, _mmlu_item(row, subject, place)


def hellaswag(file: Path) -> Items:
    """HellaSwag's JSONL: `ctx`, four `endings`, and the `label` of the right one, from 0.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    for place, row in json_rows(file):
        options, label = _endings(row, place), str(row.get("label", ""))
        if label not in map(str, range(len(options))):
            raise place.error(
                f"the label {label!r} names no ending", hint="the test part has no labels: use val or train"
            )
        prompt = _lettered(f"Which ending continues the text best?\n\n{_text(row, 'ctx', place)} …", options)
        name = f"hellaswag-{row.get('ind', place.line)}"
        yield (
            place,
            Item(name, "common sense", "medium", prompt, LETTERS[int(label)], "choice", options, "HellaSwag"),
        )


def human_eval(file: Path) -> Items:
    """HumanEval's JSONL (`.gz` too): loaded, and not scored, because code that a model wrote is not run.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    for place, row in json_rows(file):
        for needed in ("test", "entry_point"):
            _text(row, needed, place)
        prompt = f"Complete this Python function. Reply with code only.\n\n{_text(row, 'prompt', place)}"
        solution = str(row.get("canonical_solution", ""))
        yield place, Item(_text(row, "task_id", place), "code", "medium", prompt, solution, "code", source="HumanEval")


READERS: Mapping[str, Callable[[Path], Items]] = {
    "gsm8k": gsm8k,
    "mmlu": mmlu,
    "hellaswag": hellaswag,
    "humaneval": human_eval,
}
"""By the word before the colon: `gsm8k:PATH`."""


def _mmlu_item(row: Sequence[str], subject: str, place: Place) -> Item:
    if len(row) != 6 or row[5].strip() not in tuple(LETTERS[:4]):
        raise place.error("not a question, four options and a letter A to D", hint="is this a file of MMLU?")
    question, *options, letter = (cell.strip() for cell in row)
    name, category = f"mmlu-{subject}-{place.line}", subject.replace("_", " ")
    prompt = _lettered(question, options)
    return Item(name, category, "medium", prompt, letter, "choice", tuple(options), "MMLU")


def _endings(row: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    endings = row.get("endings")
    if not isinstance(endings, list) or len(endings) < 2 or not all(isinstance(one, str) for one in endings):
        raise place.error("'endings' is to be a list of texts", hint="is this a file of HellaSwag?")
    return tuple(endings)


def _lettered(question: str, options: Sequence[str]) -> str:
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, options, strict=False))
    return f"{question}\n\n{lines}\n\n{_LETTER_FORM}"


def _text(row: Mapping[str, Any], name: str, place: Place) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise place.error(f"there is no text {name!r}", hint="is this a file of that benchmark?")
    return value
