"""Use cases as suites of a pytester: a folder, a provider that answers in capitals, and what was asked of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_llmbench.demo import Answer, DemoProvider

CONFIG = """
providers:
  lab:
    url: "{url}"
    models:
      m: {{price: {{input: 1, output: 10}}}}
      n: {{price: {{input: 1, output: 10}}}}
"""


def echo(body: dict[str, Any]) -> Answer:
    """The last message in capitals."""
    return Answer(body["messages"][-1]["content"].upper())


@contextmanager
def provider(where: Path, answer: Any = echo, config: str = "") -> Iterator[DemoProvider]:
    """Answers as `lab/m` and `lab/n`, at a price."""
    with DemoProvider(answer) as running:
        where.joinpath("llmbench.yaml").write_text(CONFIG.format(url=running.url) + config)
        yield running


def usecase(where: Path, count: int = 3, front: str = "", **columns: Any) -> Path:
    """A use case `shout` of `count` samples, whose right answers are the questions in capitals."""
    rows = [
        {"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}", **{k: v(n) for k, v in columns.items()}}
        for n in range(count)
    ]
    return page(where / "shout", {"data/rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}, front)


def page(folder: Path, files: Mapping[str, str], front: str = "") -> Path:
    """A folder with a page and files."""
    said = front if "models:" in front else f"models: [lab/m]\n{front}"
    for name, content in {"USE-CASE.md": f"---\n{said}\n---\n# Shouting\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def asked(running: DemoProvider) -> list[str]:
    """The last message of each question that came, sorted."""
    return sorted(str(call.body["messages"][-1]["content"]) for call in running.chats())
