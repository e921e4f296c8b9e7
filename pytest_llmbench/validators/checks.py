"""The table of checks, by the names that items use: `number`, `number:0.01`, `list:comma`, `form:words=5`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.validators import choices, form, numeric, short_text, structure
from pytest_llmbench.validators.verdict import Expected, Verdict


def _as_it_is(expected: Expected) -> str:
    return expected.answer


@dataclass(frozen=True, slots=True)
class Check:
    """One way to score a reply."""

    about: str
    """What makes a reply correct."""
    score: Callable[[str, Expected], Verdict]
    """Never raises, whatever the reply is."""
    defect: Callable[[Expected], str]
    """What is wrong with an item that is checked so; empty where nothing is."""
    plain: Callable[[Expected], str] = _as_it_is
    """The expected answer as the plainest reply."""
    takes_argument: bool = False


def _not_scored(_reply: str, _expected: Expected) -> Verdict:
    return Verdict(correct=False, extracted=None, reason="not scored: execution is not enabled", scored=False)


CHECKS: Mapping[str, Check] = {
    "number": Check(
        "the one number the reply gives; `number:0.01` allows for a difference",
        numeric.score,
        numeric.defect,
        takes_argument=True,
    ),
    "choice": Check(
        "the letter of the right option, or its text; both where they agree",
        choices.score_choice,
        choices.choice_defect,
    ),
    "one_of": Check("the right one of the options, as a whole word", choices.score_word, choices.word_defect),
    "yes_no": Check("yes or no, at the beginning of the answer", choices.score_yes_no, choices.yes_no_defect),
    "text": Check(
        "the whole answer, in any case; ` | ` separates what is accepted",
        short_text.score_text,
        short_text.text_defect,
        short_text.first_accepted,
    ),
    "exact": Check("the whole reply, letter by letter", short_text.score_exact, short_text.exact_defect),
    "list": Check(
        "the items in their order; the style is `list:comma`, `:lines`, `:bullets` or `:numbered`",
        structure.score_list,
        structure.list_defect,
        structure.plain_list,
        takes_argument=True,
    ),
    "set": Check(
        "the items in any order, in the same styles",
        structure.score_set,
        structure.list_defect,
        structure.plain_list,
        takes_argument=True,
    ),
    "json": Check(
        "JSON equal to the answer and nothing else; `json:bare` refuses a Markdown fence",
        structure.score_json,
        structure.json_defect,
        takes_argument=True,
    ),
    "form": Check(
        "the whole reply has a form: `form:words=3-5;contains=rain`", form.score, form.defect, takes_argument=True
    ),
    "code": Check("not scored: code that a model wrote is not run", _not_scored, lambda _expected: ""),
}


def check(item_check: str, reply_text: str, answer: str, options: Sequence[str] = ()) -> Verdict:
    """Score a reply.

    Args:
        item_check: the name of a check, with its argument behind a colon where it takes one.
        reply_text: what the model said, reasoning tags included where it sent them.
        answer: what is expected, see `CHECKS`.
        options: the texts to choose from, for `choice` and `one_of`.

    Raises:
        UsageError: there is no such check.
        ValueError: the item is at fault, as `defect` tells. No reply raises anything.
    """
    found, argument = _found(item_check)
    return found.score(reply_text, Expected(answer, tuple(options), argument))


def defect(item_check: str, answer: str, options: Sequence[str] = ()) -> str:
    """What keeps an item from being scored as it should; empty where nothing does."""
    try:
        found, argument = _found(item_check)
    except UsageError as error:
        return str(error)
    return found.defect(Expected(answer, tuple(options), argument))


def plain_reply(item_check: str, answer: str, options: Sequence[str] = ()) -> str:
    """The expected answer as the plainest reply; it is correct by the check."""
    found, argument = _found(item_check)
    return found.plain(Expected(answer, tuple(options), argument))


def is_scored(item_check: str) -> bool:
    """Whether replies to an item with this check can be scored at all."""
    return _found(item_check)[0].score is not _not_scored


def _found(item_check: str) -> tuple[Check, str]:
    name, colon, argument = item_check.partition(":")
    if name not in CHECKS:
        raise UsageError(f"there is no check {name!r}{did_you_mean(name, CHECKS)}", hint=f"checks: {', '.join(CHECKS)}")
    if colon and not (argument and CHECKS[name].takes_argument):
        raise UsageError(f"the check {item_check!r} has an argument that {name!r} does not take")
    return CHECKS[name], argument
