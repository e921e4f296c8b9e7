"""The reference page of validators."""

from __future__ import annotations

import json

from generating.tables import table

from pytest_llmbench.validators.registry import HOMES, VALIDATORS
from pytest_llmbench.validators.scorer import Validator

_TITLES = {
    "plain": "Plain text",
    "combined": "Put together",
    "checked": "An answer within a reply",
    "label_set": "Several labels",
    "regexes": "Patterns",
    "json_text": "JSON",
    "json_fields": "JSON, field by field",
    "csv_table": "Tables",
    "tools": "Tools",
    "measured": "Time, cost, length and end",
    "sql": "SQL",
    "execute": "Code",
    "closeness": "Closeness to the expected text",
    "similarity": "Closeness in meaning",
    "guards": "Made-up facts",
    "time_ranges": "Time stamps and durations",
    "citing": "Quotes and citations",
    "sizes": "Length and readability",
    "speech": "Language and mood",
    "refusing": "Refusals",
    "word_lists": "Lists of words",
    "personal_data": "Personal data",
    "rating": "Imported ratings",
}
"""Module → heading; one that is not here stands under its own name."""


def validators_page() -> str:
    """Every validator with its example."""
    intro = (
        "# Validators\n\n"
        "What scores a reply by a program. They stand under `validators:` in a [USE-CASE.md](use-case.md); which to\n"
        "take is told in [Choose validators](../how-to/choose-validators.md).\n\n"
    )
    groups = [f"\n## {_TITLES.get(home, _title(home))}\n\n{_rows(names)}" for home, names in HOMES.items()]
    return intro + _common() + "".join(groups)


def _common() -> str:
    rows = [
        ("`weight`", "how much it counts among the others; 1"),
        ("`name`", "how reports call it; its own name, numbered where there are several"),
        (
            "`field`",
            "look at this field of a JSON reply only, and at the same one of the expected answer: `lines.0.sku`",
        ),
    ]
    return (
        "An item is a name, or a name with its argument; without an argument most compare with the sample's expected\n"
        "answer. `not-NAME` is the opposite of a validator that passes or fails. Beside the name may stand:\n\n"
        + table(("key", "meaning"), rows)
        + "\n*measures* tells what a validator is limited by: `at_least`, or `at_most` where lower is better, in its\n"
        "argument. Without a limit it gives a value from 0 to 1 and no verdict, unless it says *and decides*.\n"
    )


def _rows(names: tuple[str, ...]) -> str:
    kinds = [VALIDATORS[name] for name in names]
    return table(("validator", "good is", "measures", "example"), [_row(kind) for kind in kinds])


def _row(kind: Validator) -> tuple[str, str, str, str]:
    needs = f" (`pip install 'pytest-llmbench[{kind.needs}]'`)" if kind.needs else ""
    measures = f"`{kind.measure}`: `{'at_most' if kind.lower_is_better else 'at_least'}`" if kind.measure else ""
    decides = " and decides" if kind.measure and kind.settles else ""
    return f"`{kind.name}`", kind.about + needs, measures + decides, f"`{_example(kind)}`"


def _example(kind: Validator) -> str:
    if kind.example is None:
        return f"- {kind.name}"
    return f"- {kind.name}: {json.dumps(kind.example, ensure_ascii=False)}"


def _title(home: str) -> str:
    return home.replace("_", " ").capitalize()
