"""What other evaluation tools call the validators that stand here under another name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmbench.errors import did_you_mean

NAMES: Mapping[str, str] = {
    "equals": "exact",
    "exact-match": "exact",
    "match": "exact",
    "includes": "icontains",
    "contains-all": "contains",
    "icontains-all": "icontains",
    "pattern": "regex",
    "levenshtein": "edit-similarity",
    "rouge-n": "rouge-1",
    "similar": "similarity",
    "is-sql": "sql",
    "is-refusal": "refusal",
    "contains-json": "json",
    "classification": "one-of",
}
"""Names of promptfoo, Inspect and the like, with hyphens → ours."""


def or_rather(name: str, known: Iterable[str]) -> str:
    """What may be meant by a name that no validator has, to go on a sentence with; nothing where nobody knows."""
    ours = NAMES.get(name.lower().replace("_", "-"))
    return f"; here it is called {ours!r}" if ours else did_you_mean(name, known)


def written_here(spec: Mapping[Any, Any]) -> str:
    """How `{type: contains, value: refund}` of another tool is written here; nothing where it is not of that form."""
    if not isinstance(spec.get("type"), str) or not set(spec) <= {"type", "value", "threshold", "weight", "metric"}:
        return ""
    name = spec["type"]
    return f"here the name is the key: `- {NAMES.get(name.lower(), name)}: {spec.get('value', '…')}`"
