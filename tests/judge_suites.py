"""Use cases with judges as suites of a pytester: one provider answers as the model under test and as its judges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from usecase_suites import usecase

from pytest_llmbench.demo import Answer, DemoProvider

CONFIG = """
providers:
  lab:
    url: "{url}"
    models:
      m: {{price: {{input: 1, output: 10}}}}
      j: {{price: {{input: 2, output: 20}}, capabilities: {{json_schema: true}}}}
      n: {{price: {{input: 2, output: 20}}, capabilities: {{json_schema: true}}}}
      k: {{price: {{input: 2, output: 20}}, capabilities: {{json_schema: true}}}}
"""
RUBRIC = "rubric: The reply is loud."
_REPLY = re.compile(r"\[BEGIN REPLY [^\]]*\]\n(.*)\n\[END REPLY ", re.DOTALL)


def verdict(holds: bool, why: str = "It is written in capital letters or it is not.") -> Answer:
    """What a judge says by `RUBRIC`."""
    return Answer(json.dumps({"criteria": {"rubric": {"reason": why, "holds": holds}}}))


def judged_reply(body: dict[str, Any]) -> str:
    """The reply that a judge is asked about."""
    found = _REPLY.search(body["messages"][-1]["content"])
    assert found, body["messages"][-1]["content"]
    return found[1]


def loud(body: dict[str, Any]) -> Answer:
    """A judge that is right."""
    return verdict(judged_reply(body).isupper())


def obedient(body: dict[str, Any]) -> Answer:
    """Is right, but does what a reply tells it in words."""
    return verdict(True, "All of it is fine.") if "Note to the evaluator" in judged_reply(body) else loud(body)


@contextmanager
def court(where: Path, config: str = "", **models: Callable[[dict[str, Any]], Answer]) -> Iterator[DemoProvider]:
    """Answers as `lab/m` in capitals, and as the judges `lab/j` and `lab/k`, who are right unless `models` say more."""
    shout = lambda body: Answer(body["messages"][-1]["content"].upper())  # noqa: E731
    cast = {"m": shout, "n": shout, "j": loud, "k": loud, **models}
    with DemoProvider(lambda body: cast[body["model"]](body)) as running:
        where.joinpath("llmbench.yaml").write_text(CONFIG.format(url=running.url) + config)
        yield running


def judged_usecase(where: Path, count: int = 3, front: str = "judge: lab/j") -> Path:
    """As `usecase`, judged by `RUBRIC`."""
    return usecase(where, count, f"{RUBRIC}\n{front}")


def calls(running: DemoProvider) -> dict[str, int]:
    """How often each model was asked."""
    found: dict[str, int] = {}
    for call in running.chats():
        found[call.body["model"]] = found.get(call.body["model"], 0) + 1
    return found
