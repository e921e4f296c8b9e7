"""How often the guards call a text's own sentences invented, and how often they tell what was put into them.

    python benchmarks/guards.py

Over this project's own documents and the data of its use cases: each sentence against the document it stands in; then
with one of its numbers changed to one that the document does not have; then with a name put between two of its words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from pytest_llmbench.validators import guards
from pytest_llmbench.validators.reply_text import sentences

ROOT = Path(__file__).resolve().parent.parent
SENTENCES_A_DOCUMENT = 80
STRANGERS = ("Marlene Dietrich", "Olaf Petersen", "Yuki Tanaka", "Siemens", "Karstadt AG", "Toulouse")
NUMBER = re.compile(r"(?<![\w.,\[])\d{2,6}(?![\w.,\]])")
GAP = re.compile(r"(?<=[a-z]) (?=[a-z])")


def main() -> None:
    """Print the three figures."""
    noise = random.Random(6)
    told: dict[str, list[bool]] = {"its own": [], "a changed number": [], "a name put in": []}
    for document in documents():
        for sentence in list(sentences(document))[:SENTENCES_A_DOCUMENT]:
            for kind, text in {
                "its own": sentence,
                "a changed number": with_another_number(sentence, document, noise),
                "a name put in": with_a_stranger(sentence, noise),
            }.items():
                if text:
                    told[kind].append(is_told(text, document))
    for kind, found in told.items():
        print(f"{kind}: {sum(found)} of {len(found)} sentences are called invented")


def documents() -> Iterator[str]:
    """The texts of this project."""
    for folder, pattern in (
        ("docs", "*.md"),
        ("example_suites/usecases", "*.md"),
        ("example_suites/usecases", "*.txt"),
    ):
        for path in sorted((ROOT / folder).rglob(pattern)):
            yield path.read_text("utf-8")


def is_told(sentence: str, document: str) -> bool:
    """Whether a guard finds anything in it that the document does not have."""
    found = (guards.numbers, guards.dates, guards.people_and_things, guards.time_stamps)
    return any(guard(sentence, document).invented for guard in found)


def with_another_number(sentence: str, document: str, noise: random.Random) -> str:
    """The sentence with another first digit in one number; empty where it has none, or the document has the other."""
    numbers = list(NUMBER.finditer(sentence))
    if not numbers:
        return ""
    number = noise.choice(numbers)
    other = str((int(number[0][0]) + noise.randrange(3, 8)) % 9 + 1) + number[0][1:]
    return "" if other in document else sentence[: number.start()] + other + sentence[number.end() :]


def with_a_stranger(sentence: str, noise: random.Random) -> str:
    """The sentence with a name between two words; empty where it is short."""
    gaps = [gap.start() for gap in GAP.finditer(sentence)]
    if len(gaps) < 8:
        return ""
    place = noise.choice(gaps)
    return f"{sentence[:place]} {noise.choice(STRANGERS)}{sentence[place:]}"


if __name__ == "__main__":
    main()
