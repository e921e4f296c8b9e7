"""Advice is the same however it is computed: held against what was said before the comparisons were made quicker.

`python tests/test_recommend_same.py` writes advice_before.json anew, where sentences are changed on purpose.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import report_matrix
from advice_runs import a_run, chat, documents, endured, exam, letters, share_right

from pytest_llmbench.records import Measurement, Run
from pytest_llmbench.results.recommend import recommendations

BEFORE = Path(__file__).with_name("advice_before.json")
MODELS = (
    ("a:Q8_0", 50.0, 0.8),
    ("a:Q4_0", 90.0, 0.5),
    ("b:Q4_K_M", 30.0, 0.9),
    ("b:Q8_0", 20.0, 0.9),
    ("c-1b:Q4_0", 51.0, 0.8),
)
"""Model, tokens per second, share of right answers."""


def built() -> Run:
    """Five models, each measured by five profiles, as fast and as good as `MODELS` says."""
    measured: list[Measurement] = []
    for place, (model, tps, right) in enumerate(MODELS):
        cpu_s = 1 / tps * random.Random(model).uniform(0.8, 1.2)
        measured += [
            chat(model, tps, cpu_s=cpu_s),
            exam(model, share_right(right, 100)),
            documents(model, 100 / tps),
            letters(model, [1024, 4096], tps=5 * tps),
            endured(model, tps, slowing=0.1 * place),
        ]
    return a_run(*measured)


def told(run: Run) -> dict[str, Any]:
    """What it comes to: who is compared with whom, with which words and verdict, and who is chosen."""
    advice = recommendations(run)
    picks = [*advice.picks, *([advice.balanced] if advice.balanced else [])]
    return {
        "comparisons": [[each.sentence, each.verdict] for each in advice.comparisons],
        "families": [list(each.sentences) for each in advice.families],
        "picks": [[each.use, each.configuration, list(each.ties), list(each.measurement_ids)] for each in picks],
        "standings": [[each.configuration, each.is_on_front, list(each.beaten_by)] for each in advice.standings],
        "notes": list(advice.notes),
        "tested": advice.tested,
    }


def both() -> dict[str, Any]:
    return {"built": told(built()), "matrix": told(report_matrix.matrix_run())}


def test_the_advice_says_word_for_word_what_it_said_before() -> None:
    """Every comparison with its interval and p-value, every pick with its ties, every front."""
    assert both() == json.loads(BEFORE.read_text("utf-8"))


if __name__ == "__main__":
    BEFORE.write_text(json.dumps(both(), indent=1, ensure_ascii=False) + "\n", "utf-8")
