"""Short answers in free words, and answers that must be exact to the letter."""

from __future__ import annotations

from pytest_llmbench.validators.final_answer import afterthoughts, marked
from pytest_llmbench.validators.reply_text import (
    composed,
    first_sentence,
    folded,
    one_form,
    undressed,
    why_nothing,
    without_reasoning,
)
from pytest_llmbench.validators.verdict import Expected, Verdict, differs, right, wrong

_COPULAS = (" is ", " was ", " are ", " were ", ": ")


def score_text(reply: str, expected: Expected) -> Verdict:
    """Whether the whole answer is one of the accepted ones, whatever its case, article or punctuation.

    `Paris.`, `Answer: Paris` and `The capital of France is Paris.` answer `Paris`; `Paris or London` and `not Paris` do
    not: a part of the answer is never looked for in a text.
    """
    spans = marked(reply).spans
    given = [span.strip() for span in spans or (undressed(one_form(without_reasoning(reply))),) if span.strip()]
    if not given:
        return wrong(why_nothing(reply))
    wanted = accepted(expected.answer)
    for span in given:
        if not _answers(span, wanted):
            return differs(span, expected.answer) if len(span) < 80 else wrong(why_nothing(reply))
    return right(given[-1])


def text_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    return "" if all(accepted(expected.answer)) else f"the answer {expected.answer!r} has an empty alternative"


def accepted(answer: str) -> tuple[str, ...]:
    """The accepted answers, which ` | ` separates, folded for comparison."""
    return tuple(folded(one) for one in answer.split(" | "))


def first_accepted(expected: Expected) -> str:
    """The expected answer as a reply."""
    return expected.answer.split(" | ")[0]


def score_exact(reply: str, expected: Expected) -> Verdict:
    """Whether the reply is the answer, letter by letter; space around it does not count."""
    given = composed(without_reasoning(reply)).strip()
    if not given:
        return wrong(why_nothing(reply))
    return right(given) if given == composed(expected.answer).strip() else differs(given, expected.answer)


def exact_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    return "" if expected.answer.strip() else "the answer is empty"


def _answers(span: str, wanted: tuple[str, ...]) -> bool:
    sentence, rest = first_sentence(span)
    if folded(span) in wanted:
        return True
    says_it = folded(sentence) in wanted or any(folded(tail) in wanted for tail in _tails(sentence))
    return says_it and not any(afterthoughts(rest))


def _tails(sentence: str) -> list[str]:
    """What stands behind the last copula of each kind: `The capital is Paris` → `Paris`."""
    return [sentence.rpartition(copula)[2] for copula in _COPULAS if copula in sentence]
