"""Validators that find the answer in a reply before they compare it: the checks of the quality profile, by name.

They read `The answer is 12.` as 12 and refuse a reply that gives two answers: see final_answer.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators import checks, numeric
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.plain import texts_of
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of, unscored, verdict

Options = str | tuple[str, ...]
"""Texts to choose from, or the sample's column with them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Scores by a check."""

    check: Callable[[str], str]
    """The check with its argument, for an expected answer."""
    options: Options = ()
    answer: str | None = None
    """What is expected; None: the sample's expected answer."""

    def score(self, material: Material) -> Score:
        """As the check says."""
        answer = self._answer(material)
        if answer is None:
            return unscored(NOTHING_EXPECTED)
        found = checks.check(self.check(answer), material.reply_text, answer, self._options(material))
        if not found.scored:
            return unscored(found.reason)
        return verdict(found.correct, found.reason, extracted=found.extracted)

    def defects(self, material: Material) -> list[str]:
        """What the check says of the expected answer."""
        answer = self._answer(material)
        if answer is None:
            return [NOTHING_EXPECTED]
        wrong = checks.defect(self.check(answer), answer, self._options(material))
        return [wrong] if wrong else []

    def _answer(self, material: Material) -> str | None:
        if self.answer is not None:
            return self.answer
        expected = material.expected
        if isinstance(expected, bool) and self.check("") == "yes_no":
            return "yes" if expected else "no"
        return None if expected is None else as_text(expected)

    def _options(self, material: Material) -> Sequence[str]:
        options = material.metadata.get(self.options, ()) if isinstance(self.options, str) else self.options
        return [str(one) for one in options] if isinstance(options, list | tuple) else ()


def _check(argument: Any, where: Where) -> Scorer:
    keys = (
        {"name": argument}
        if isinstance(argument, str)
        else keys_of(argument, where, {"name": str, "options": (str, list)})
    )
    name = keys.get("name", "")
    try:
        scored = checks.is_scored(name)
    except UsageError as error:
        raise where.error(error.message, error.hint) from error
    if not scored:
        raise where.error(f"replies cannot be scored by the check {name!r}")
    return Checked(lambda _answer: name, _options_of(keys, where))


def _options_of(keys: Mapping[str, Any], where: Where) -> Options:
    options = keys.get("options", "options")
    return options if isinstance(options, str) else texts_of(options, where.at("options"))


def _number(argument: Any, where: Where) -> Scorer:
    keys = keys_of(argument, where, {"equals": float, "within": float, "relative": float})
    for key in ("within", "relative"):
        if not 0 <= keys.get(key, 0) < 1e9:
            raise where.at(key).error("must be a number from 0 up")
    if "within" in keys and "relative" in keys:
        raise where.at("relative").error("within and relative stand here together; one of them is enough")
    if not math.isfinite(keys.get("equals", 0)):
        raise where.at("equals").error("must be a finite number")
    answer = str(keys["equals"]) if "equals" in keys else None
    within, relative = Fraction(str(keys.get("within", 0))), Fraction(str(keys.get("relative", 0)))

    def check(answer: str) -> str:
        wanted = numeric.number(answer) or Fraction(0)
        return f"number:{float(within + relative * abs(wanted)):.12g}"

    return Checked(check, answer=answer)


def _one_of(argument: Any, where: Where) -> Scorer:
    labels = argument if isinstance(argument, str) else texts_of(argument, where)
    if len(labels) < 2:
        raise where.error("needs the labels to choose from, 2 or more", hint="one-of: [billing, shipping, other]")
    return Checked(lambda _answer: "one_of", labels)


def _choice(argument: Any, where: Where) -> Scorer:
    options = (
        argument if isinstance(argument, list) else keys_of(argument, where, {"options": (str, list)}).get("options")
    )
    return Checked(lambda _answer: "choice", _options_of({"options": options or "options"}, where))


def _yes_no(argument: Any, where: Where) -> Scorer:
    if argument not in (None, "yes", "no"):
        raise where.error("must be yes or no, or nothing: then the expected answer says it")
    return Checked(lambda _answer: "yes_no", answer=argument)


TABLE = (
    Validator(
        "check", "as a check of the quality profile says, which finds the answer in the reply", _check, "number:0.01"
    ),
    Validator("number", "the one number the reply gives, within a tolerance", _number, {"relative": 0.01}),
    Validator("one-of", "the right one of these labels, and no other", _one_of, ["billing", "shipping", "other"]),
    Validator("choice", "the right one of lettered options, by letter or text", _choice, {"options": "options"}),
    Validator("yes-no", "yes or no, at the beginning of the answer", _yes_no, "yes"),
)
