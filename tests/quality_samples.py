"""Quality measurements built by hand, and a scripted provider whose models answer a question set as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmbench.demo import Answer
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.questions import Item
from pytest_llmbench.records import Measurement, Repetition
from pytest_llmbench.validators import plain_reply

SETTINGS: Mapping[str, Any] = {
    "questions": "own.jsonl",
    "questions_sha256": "aa",
    "items": 30,
    "repeats": 1,
    "output_tokens": 64,
    "reference": "",
    "logprob_text": "A short text.",
}
CATEGORIES = ("maths", "logic", "facts")


def an_answer(number: int, correct: bool | None, *, repeat: int = 0, **labels: str | bool) -> Repetition:
    """The answer to the item of this number, in one of three categories; not scored where `correct` is None."""
    named: dict[str, Any] = {
        "item": f"q{number}",
        "category": CATEGORIES[number % 3],
        "difficulty": ("easy", "hard")[number % 2],
        "extracted": "42" if correct else "41",
    }
    metrics = {} if correct is None else {"correct": float(correct)}
    if correct is None:
        named["unscored"] = "nobody knows"
    return Repetition(1000 * repeat + number, repeat, "", metrics, labels={**named, **labels})


def a_token(position: int, logprob: float | None, *, token_id: int | None = None, top_id: int = 7) -> Repetition:
    """One token of the text."""
    place = {"part": "text", "position": position, "token_id": token_id or 100 + position, "top_id": top_id}
    metrics = {} if logprob is None else {"token_logprob": logprob}
    return Repetition(900_000 + position, 0, "", metrics, labels=place)


def answered(
    model: str, wrong: Collection[int] = (), *, n: int = 30, tokens: Sequence[Repetition] = (), **settings: Any
) -> Measurement:
    """A measurement of `n` items, of which the numbers in `wrong` were answered wrongly."""
    return of_repetitions(model, [*(an_answer(i, i not in wrong) for i in range(n)), *tokens], **settings)


def of_repetitions(model: str, repetitions: Sequence[Repetition], **settings: Any) -> Measurement:
    """A measurement of these repetitions."""
    return Measurement(
        id=f"m-{model}",
        key="k",
        model=model,
        profile="quality",
        settings={**SETTINGS, **settings, "subject": {"sha256": model}},
        host_fingerprint="host",
        repetitions=tuple(repetitions),
        units={name: metric.unit for name, metric in METRICS.items()},
    )


def question_file(folder: Path, count: int = 30) -> Path:
    """A question set of sums, half of them in each of two categories."""
    rows = [
        {
            "id": f"sum-{i}",
            "category": "small" if i % 2 else "large",
            "difficulty": "easy",
            "check": "number",
            "prompt": f"What is {i} + {i}? Reply with the number only.",
            "answer": str(2 * i),
        }
        for i in range(1, count + 1)
    ]
    file = folder / "sums.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def answering(items: Sequence[Item], wrong: Mapping[str, Collection[str]]) -> Callable[[Mapping[str, Any]], Answer]:
    """A script: every model gives the expected answer, but for the items named under its name."""
    by_prompt = {item.prompt: item for item in items}

    def react(body: Mapping[str, Any]) -> Answer:
        item = by_prompt[body["messages"][-1]["content"]]
        if item.id in wrong.get(body["model"], ()):
            return Answer("I do not know.")
        return Answer(plain_reply(item.check, item.answer, item.options))

    return react
