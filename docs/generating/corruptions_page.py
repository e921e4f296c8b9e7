"""The reference page of corruptions."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.corruption.registry import CORRUPTIONS, Kind
from pytest_llmbench.usecases.json_schema import json_schema

_EXAMPLES = {
    "typos": ("typos-10", "typos-5-characters"),
    "missing-words": ("missing-words-10",),
    "casing": ("casing", "casing-upper"),
    "whitespace": ("whitespace-20",),
    "malformed-json": ("malformed-json-2",),
    "reordered-choices": ("reordered-choices", "reordered-choices: {column: answers}"),
    "distractors": ("distractors-2-before", "distractors: {count: 2, file: sentences.txt}"),
    "paraphrase": ("paraphrase", "paraphrase: {file: paraphrases.yaml}"),
}


def corruptions_page() -> str:
    """Every corruption with its keys and an example."""
    intro = (
        "# Corruptions\n\n"
        "How the inputs of a use case are damaged to see how well models stand it:\n"
        "[Test robustness](../how-to/test-robustness.md). They stand under `corruption:` in a\n"
        "[USE-CASE.md](use-case.md), or behind [`--llmbench-corrupt`](options.md#corrupt).\n\n"
        "An item is a name, or a mapping of the name to its keys. Behind a name may stand its strength, a number of\n"
        "percent or how many, and the words of its keys: `typos-10`, `typos-10-characters`, `distractors-2-before`.\n"
        "As a key, `strength` is a share above 0 and at most 1, and `count` a whole number from 1 to 50.\n\n"
    )
    rows = [_row(kind) for kind in CORRUPTIONS.values() if not kind.is_own]
    return intro + table(("corruption", "what is changed", "strength", "keys", "examples"), rows) + _rules()


def _row(kind: Kind) -> tuple[str, str, str, str, str]:
    default = f"{kind.strength:.0%}".replace("%", " %") if kind.counts == "share" else f"{kind.strength:g}"
    strength = f"{kind.counts}; {default}" if kind.counts else ""
    keys = [f"`{key}`: {', '.join(f'`{word}`' for word in words)}" for key, words in kind.choices.items()]
    keys += [f"`{key}`: {meaning}" for key, meaning in kind.texts.items()]
    examples = "<br>".join(f"`{each}`" for each in _EXAMPLES[kind.name])
    return f"`{kind.name}`", kind.about, strength, "<br>".join(keys), examples


def _rules() -> str:
    seed = json_schema()["$defs"]["CorruptionDef"]["properties"]["seed"]["description"]
    return (
        "\n## What can be relied on\n\n"
        "- The same sample id, seed and strength give the same damage, on every machine and whatever other samples\n"
        f"  there are (`corruption: {{kinds: [...], seed: 1}}`: {seed}).\n"
        "- Shares are rounded to whole words, letters or spaces, and are one at least: what is damaged differs from\n"
        "  what it was. The words that `typos-5` hits are among those of `typos-10`.\n"
        "- No text becomes empty. Numbers and the letters of options (`A)`) stay: nobody could answer without them.\n"
        "- Only the input is changed; of a conversation the last message of the user, and in it the longest text.\n"
        "  Expected answers, ids, roles, pictures, sound, few-shot examples and the prompt stay; with\n"
        "  `reordered-choices` the expected letter, or place in the list, follows its option.\n"
        "- A sample to which a corruption can do nothing is left out of it, and told; if that is so of all, nothing\n"
        "  is asked and the run ends with an error.\n"
    )
