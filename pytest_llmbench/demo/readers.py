"""`demo/careful` and `demo/hasty`: they know the use cases of `example_suites/usecases`, and answer as models would.

What the two say of each sample stands in `data/demo_replies.jsonl`. The careful one is right on most, the hasty one on
somewhat more than half; of anything else they know nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

KNOWN_BY = ("careful", "hasty")


@lru_cache(1)
def replies() -> Sequence[Mapping[str, str]]:
    """One entry a sample: `about`, a text that its question has and no other sample's, and what each of them says."""
    text = files("pytest_llmbench").joinpath("data", "demo_replies.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def reply_of(who: str, question: str) -> str:
    """What one of `KNOWN_BY` says; empty where they do not know the question.

    Of a text with several samples in it, such as solved examples before the question, the last one counts.
    """
    found = [(question.rfind(each["about"]), each[who]) for each in replies()]
    place, reply = max(found, key=lambda one: one[0])
    return reply if place >= 0 else ""
