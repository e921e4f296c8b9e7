"""Calibrations of judges as suites of a pytester: labels, a rubric, and judges of the demo provider."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "example_suites" / "judges"
RUBRIC = (EXAMPLE / "answers.md").read_text(encoding="utf-8")


def labels(count: int = 60) -> list[dict[str, Any]]:
    """The first rows of the example's labels."""
    lines = (EXAMPLE / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


def calibration(
    where: Path,
    front: str = "",
    *,
    rows: list[dict[str, Any]] | None = None,
    pairs: int = 0,
    judges: str = "demo/judge",
) -> Path:
    """A folder with `answers.calibration.yaml`, its rubric, labels and as many pairs."""
    where.mkdir(parents=True, exist_ok=True)
    where.joinpath("answers.md").write_text(RUBRIC)
    told = labels(12) if rows is None else rows
    where.joinpath("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    lines = (EXAMPLE / "pairs.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    where.joinpath("pairs.jsonl").write_text("".join(lines[:pairs]))
    said = f"rubric: {{file: answers.md}}\njudges: [{judges}]\nlabels: labels.jsonl\n"
    said += "pairs: pairs.jsonl\n" if pairs else ""
    file = where / "answers.calibration.yaml"
    file.write_text(said + front)
    return file


def judged_shop(where: Path, judge: str = "demo/judge") -> Path:
    """A use case by the same rubric, whose gate a bad model breaks."""
    folder = where / "shop"
    (folder / "data").mkdir(parents=True)
    folder.joinpath("answers.md").write_text(RUBRIC)
    rows = [{"id": row["id"], "input": row["question"], "expected": row["expected"]} for row in labels()]
    folder.joinpath("data", "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder.joinpath("USE-CASE.md").write_text(
        "---\nmodels: [demo/echo]\nrubric: {file: answers.md}\n"
        f"judge: {judge}\ngates: [{{metric: pass_rate, min: 0.999}}]\n---\n# Shop\n"
    )
    return folder


def copied_example(where: Path) -> None:
    """The example suite, which may be written into."""
    shutil.copytree(
        EXAMPLE, where, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*", "llmbench-*")
    )
