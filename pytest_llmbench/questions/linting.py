"""Whether each question of a set is scored as it should be: its own answer passes, and what must not pass does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmbench import validators
from pytest_llmbench.questions.items import Item, QuestionSet
from pytest_llmbench.validators.reply_text import folded


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one question."""

    item: str
    """Its id."""
    text: str


def lint(questions: QuestionSet) -> list[Problem]:
    """What is wrong with the questions, in their order; questions that cannot be scored are left out."""
    scored = (item for item in questions.items if validators.is_scored(item.check))
    return [Problem(item.id, text) for item in scored for text in _problems(item)]


def _problems(item: Item) -> Iterator[str]:
    plain = validators.plain_reply(item.check, item.answer, item.options)
    expected = _check(item, plain)
    if not expected.correct:
        yield f"its own answer {plain!r} does not pass: {expected.reason}"
    for name, reply in (("an empty reply", ""), ("the prompt repeated", item.prompt)):
        if _check(item, reply).correct:
            yield f"{name} passes"
    for reply in (*item.wrong, *_other_options(item)):
        if _check(item, reply).correct:
            yield f"the wrong reply {reply!r} passes"
    if item.check == "choice":
        prompt = folded(item.prompt)
        yield from (f"the prompt does not name the option {o!r}" for o in item.options if folded(o) not in prompt)


def _other_options(item: Item) -> Iterator[str]:
    """The options that are not the answer, each as a reply."""
    for letter, option in zip(validators.LETTERS, item.options, strict=False):
        if item.check == "choice" and letter != item.answer:
            yield from (letter, option)
        elif item.check == "one_of" and folded(option) != folded(item.answer):
            yield option


def _check(item: Item, reply: str) -> validators.Verdict:
    return validators.check(item.check, reply, item.answer, item.options)
