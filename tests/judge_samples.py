"""Rubrics, matters and answers of judges for tests."""

from __future__ import annotations

import json
from typing import Any

from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.verdict import score_of
from pytest_llmbench.records.score import Score

JUDGE = "demo/judge"
ACCURACY = Criterion(
    "accuracy", "Says only what the source says.", scale={1: "wrong", 3: "partly right", 5: "right"}, weight=3.0
)
GREETING = Criterion("greeting", "Greets the customer.", kind="yes-no")
INSULTS = Criterion("insults", "A passage that insults somebody.", kind="violations", must=True)
RUBRIC = Rubric("desk", (ACCURACY, GREETING, INSULTS), text="Replies of a help desk.", pass_at=0.7)
MATTER = Matter(
    question="Where is my order?",
    reply="Hello Ms Smith, your order left on Monday.",
    source="Order 4711 left on Monday.",
    expected="It left on Monday.",
)


def cells(**changed: Any) -> dict[str, Any]:
    """The criteria of a verdict that passes everything, some of them changed."""
    return {
        "accuracy": {"reason": "The source says so.", "grade": 5},
        "greeting": {"reason": "It begins with a greeting.", "holds": True},
        "insults": {"reason": "All of it is friendly.", "violations": []},
        **changed,
    }


def answer(**changed: Any) -> str:
    """A judge's answer that passes everything, some criteria changed."""
    return json.dumps({"criteria": cells(**changed)})


def breach(quote: str, what: str = "an insult") -> dict[str, str]:
    """One violation as a judge names it."""
    return {"quote": quote, "what": what}


def insults(*breaches: dict[str, str]) -> dict[str, Any]:
    """The cell of the criterion of violations."""
    return {"reason": "Looked for insults.", "violations": list(breaches)}


def scored(text: str, *, rubric: Rubric = RUBRIC, matter: Matter = MATTER) -> Score:
    """The score of an answer."""
    return score_of(rubric, text, judge=JUDGE, matter=matter)
