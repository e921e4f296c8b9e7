"""The reference page of USE-CASE.md."""

from __future__ import annotations

from importlib.resources import files

from generating.tables import schema_sections, table

from pytest_llmbench.usecases.json_schema import json_schema


def use_case_page() -> str:
    """Every key of the front matter of a USE-CASE.md, and the older page layout."""
    intro = (
        "# USE-CASE.md\n\n"
        "A use case is a folder with a page, `data/` and, where answers stand apart, `ground-truth/`. The page begins\n"
        "with YAML between two lines of `---`; what follows is prose for people. How to write one:\n"
        "[Write a use case](../how-to/write-a-use-case.md).\n\n"
        "Unknown and duplicate keys are refused, as are tags, anchors and aliases. Every error names the file, the\n"
        "line, the key and what is allowed. No path leaves the folder, symbolic links included.\n\n"
        "The [JSON Schema](usecase.schema.json) gives editors completion; `llmbench usecase schema` prints it.\n\n"
    )
    new = (files("pytest_llmbench") / "data" / "new_usecase" / "USE-CASE.md").read_text(encoding="utf-8")
    sample = f"\n## Example\n\nWhat `llmbench usecase new` writes:\n\n````markdown\n{new}````\n"
    return f"{intro}{schema_sections('Front matter', json_schema())}{sample}\n{_older_layout()}"


def _older_layout() -> str:
    rows = [
        ("`# Use Case: TITLE`", "the title; it must be there"),
        (
            "`## Metadata`",
            "`- **Key:** value` lines: *Name*, *Difficulty* and *Primary Capability* become name and tags",
        ),
        ("`## Goal`", "what models are told to do; it must be there"),
        ("`## LLM Evaluation Notes`", "for judges; models do not see it"),
        ("`## Expected Output Schema`", "the form of the answer; its first fence names `csv` or `json`"),
        ("`## Quality Criteria`", "the rubric: each item of a list is a yes-no criterion; models do not see it"),
        ("`## Duration Rules`", "told to models; a shortest and a longest duration in plain words are checked, too"),
        ("`## Evaluation Script`", "kept, shown and never run"),
        ("`## Sample Data Files`, `## Ground Truth`", "for people"),
        ("any other `##` heading", "told to models as it is"),
    ]
    return (
        "## The older layout\n\n"
        "A page without front matter that begins with `# Use Case:` is read as well:\n\n"
        + table(("part", ""), rows)
        + "\n"
        "JSON in the fence is a JSON Schema or an example; of an example every key is wanted of replies, and\n"
        '`"high|medium|low"` allows these three words.\n\n'
        "Data and expected answers belong together whose names begin with the same words, the longest beginning\n"
        "first; a number that differs is another sample, and where the fence names a kind, answers of that kind come\n"
        "first. Several that fit equally well are an error that lists them. Tables with a column `id` or `…_id` that\n"
        "both have are joined row by row. Expected answers with a `regex` are run over the texts under keys that have\n"
        "*positive* and *negative* in their names.\n"
    )
