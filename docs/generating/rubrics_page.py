"""The reference page of rubrics."""

from __future__ import annotations

from generating.tables import schema_sections, table

from pytest_llmbench.judges.rubric import Criterion
from pytest_llmbench.judges.rubric_schema import RubricFileDef
from pytest_llmbench.judges.shipped import SHIPPED, shipped, text_of


def rubrics_page() -> str:
    """Every key of a rubric, its two forms, and those that are shipped."""
    intro = (
        "# Rubrics\n\n"
        "What a judge goes by: criteria, each with its scale and its weight. A rubric stands under `rubric:` in a\n"
        "[USE-CASE.md](use-case.md), or in a file. How to write one that judges agree on:\n"
        "[Write a rubric](../how-to/write-a-rubric.md).\n\n"
        "The judge grades criteria and names violations; the weighted total is computed from them, and a reply passes\n"
        "from `pass_at` on, unless it misses a criterion with `must`. A grade is worth its place on the scale, 0 for\n"
        "the lowest and 1 for the highest; a yes-no 1 or 0; violations 1 where there is none, else 0. A grade is\n"
        "missed below the middle of its scale.\n\n"
    )
    sections = schema_sections("YAML", RubricFileDef.model_json_schema())
    return f"{intro}{sections}\n{_rules()}\n{_markdown()}\n{_shipped()}"


def _rules() -> str:
    weights = (
        "above 0. Percentages sum to 100 and all criteria have one; numbers that are all given and all below 1 sum to "
        "1; any other numbers are relative"
    )
    rows = [
        ("weights", weights),
        ("scale", "whole numbers from 0 to 100, the highest is the best; those between the anchors may be given, too"),
        ("ids", "lower case letters, digits and `-`, each once"),
        ("size", "50 criteria, 20,000 characters a text, 200 kB a file"),
    ]
    return (
        "## What is refused\n\n"
        "Before anybody is asked, with file, line and key: unknown and duplicate keys, a rubric without criteria, and\n"
        "what breaks these rules.\n\n" + table(("", "rule"), rows)
    )


def _markdown() -> str:
    return (
        "## Markdown\n\n"
        "The same for people, with the same hash. `name`, `pass_at` and `needs` stand in a front matter where they\n"
        "are needed; the first heading is the title; what stands outside the lists is `text`, as a paragraph at the\n"
        "margin behind a list does. Behind an id and before the colon stand, in any order, `weight 2` or `40 %`, one\n"
        "of `grade`, `yes-no` and `violations`, and `must`. A list under `## Scale` is the scale of all grades\n"
        "without anchors of their own. A text without any heading is one yes-no criterion.\n\n"
        f"````markdown\n{text_of('factuality')}````\n"
    )


def _shipped() -> str:
    intro = (
        "## Shipped\n\n`rubric: politeness` takes one by its name; to change one, copy it. User satisfaction is no\n"
        "rubric but the validator [`rating`](validators.md#imported-ratings), which reads what people said.\n"
    )
    parts = [intro]
    for name in SHIPPED:
        rubric = shipped(name)
        needs = f" Needs {', '.join(sorted(rubric.needs))}." if rubric.needs else ""
        rows = [_row(one) for one in rubric.criteria]
        parts.append(
            f"\n### {name}\n\n{rubric.text}\n\nPasses at {rubric.pass_at:g}.{needs}\n\n"
            + table(("criterion", "kind", "weight", "what is wanted"), rows)
        )
    return "".join(parts)


def _row(one: Criterion) -> tuple[str, str, str, str]:
    kind = f"{one.kind} {one.lowest}–{one.highest}" if one.kind == "grade" else one.kind
    return f"`{one.id}`", kind + (", must" if one.must else ""), f"{one.weight:g}", one.text
