"""Validators with regular expressions: the use case's own over a reply, and a model's over examples."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material
from pytest_llmbench.validators.patterns import Pattern, PatternTimeoutError, compiled
from pytest_llmbench.validators.plain import texts_of
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, ran, rated, unscored, verdict

_SLASHED = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
_SHOWN = 5
_KEPT = 50


def _regex(argument: Any, where: Where) -> Scorer:
    if argument is None:
        return Plain(_by_expected, _expected_defects)
    pattern = _pattern_of(argument, where)

    def judge(material: Material) -> Score:
        return _matched(pattern, material.answer)

    return Plain(judge)


def _pattern_of(argument: Any, where: Where) -> Pattern:
    """The pattern of an argument, which is a text or a mapping; it is held against its own examples."""
    if isinstance(argument, str):
        return _compiled(argument, where)
    keys = keys_of(
        argument, where, {"pattern": str, "ignore_case": bool, "whole": bool, "match": list, "no_match": list}
    )
    if "pattern" not in keys:
        raise where.error("needs a pattern", hint="regex: {pattern: '^[A-Z]{3}$', match: [ABC], no_match: [abc]}")
    options = {key: keys[key] for key in ("ignore_case", "whole") if key in keys}
    pattern = _compiled(keys["pattern"], where.at("pattern"), **options)
    for key in ("match", "no_match"):
        texts = texts_of(keys.get(key), where.at(key))
        for place, found in enumerate(pattern.search(texts)):
            if (found is None) is (key == "match"):
                told = "does not match its own example" if found is None else "matches an example it must not match:"
                raise where.at(key, place).error(f"the pattern {pattern.text!r} {told} {texts[place]!r}")
    return pattern


def _compiled(text: str, where: Where, **options: bool) -> Pattern:
    try:
        return compiled(text, **options)
    except ValueError as error:
        raise where.error(f"the pattern {error}") from error


def _matched(pattern: Pattern, text: str) -> Score:
    found = pattern.search([text])[0]
    if found is None:
        return verdict(passed=False, reason=f"the pattern {pattern.text!r} does not match")
    return verdict(passed=True, reason=f"the pattern {pattern.text!r} matches {text[found[0] : found[1]][:100]!r}")


def _by_expected(material: Material) -> Score:
    if material.expected is None:
        return unscored(NOTHING_EXPECTED)
    return _matched(Pattern(material.wanted), material.answer)


def _expected_defects(material: Material) -> list[str]:
    if material.expected is None:
        return [NOTHING_EXPECTED]
    try:
        compiled(material.wanted)
    except ValueError as error:
        return [f"the expected answer {material.wanted!r} is no pattern: it {error}"]
    return []


@dataclass(frozen=True, slots=True)
class OnExamples:
    """Runs a pattern that a model wrote over examples."""

    match: str | tuple[str, ...]
    """Texts it must match, or the sample's column with them."""
    no_match: str | tuple[str, ...]
    ignore_case: bool
    whole: bool

    def score(self, material: Material) -> Score:
        """The share of the examples on which it is right; it passes where that is all of them."""
        examples = self._examples(material)
        if not examples:
            return unscored("the sample has no examples")
        text, ignore_case = _written(material.answer)
        try:
            wrong = self._wrong(text, examples, ignore_case=ignore_case)
        except (ValueError, PatternTimeoutError) as error:
            reason = f"the pattern {error}" if text else "the reply is empty"
            return ran(rated(0.0, False, reason, pattern=text[:500]))
        shown = [_told(example, must_match=must) for example, must in wrong[:_SHOWN]]
        reason = "; ".join(shown) if wrong else f"right on all {len(examples)} examples"
        told = [list(one) for one in wrong[:_KEPT]]
        return ran(rated(1 - len(wrong) / len(examples), not wrong, reason, pattern=text[:500], wrong=told))

    def defects(self, material: Material) -> list[str]:
        """What the expected pattern, where there is one, says against its own examples."""
        examples = self._examples(material)
        if not examples:
            return ["there are no examples to run the pattern on"]
        both = {text for text, must in examples if must} & {text for text, must in examples if not must}
        found = [f"the example {text!r} is to match and not to match" for text in sorted(both)]
        if material.expected is None:
            return found
        text, ignore_case = _written(material.wanted)
        try:
            wrong = self._wrong(text, examples, ignore_case=ignore_case)
        except (ValueError, PatternTimeoutError) as error:
            return [*found, f"the expected pattern {error}"]
        return [
            *found,
            *(f"the expected pattern {_told(text, must_match=must)}" for text, must in wrong if text not in both),
        ]

    def _wrong(self, text: str, examples: Sequence[tuple[str, bool]], *, ignore_case: bool) -> list[tuple[str, bool]]:
        if not text:
            raise ValueError("is empty")
        pattern = compiled(text, ignore_case=ignore_case or self.ignore_case, whole=self.whole)
        found = pattern.search([example for example, _must in examples])
        return [one for one, span in zip(examples, found, strict=True) if (span is not None) is not one[1]]

    def _examples(self, material: Material) -> list[tuple[str, bool]]:
        columns = ((self.match, True), (self.no_match, False))
        return [(text, must) for texts, must in columns for text in _listed(texts, material.metadata)]


def _on_examples(argument: Any, where: Where) -> Scorer:
    texts = (str, list)
    keys = keys_of(argument, where, {"match": texts, "no_match": texts, "ignore_case": bool, "whole": bool})
    match, no_match = (
        keys.get(key, key) if isinstance(keys.get(key, key), str) else texts_of(keys[key], where.at(key))
        for key in ("match", "no_match")
    )
    return OnExamples(match, no_match, keys.get("ignore_case", False), keys.get("whole", False))


def _listed(texts: str | tuple[str, ...], metadata: Mapping[str, Any]) -> Sequence[str]:
    """Texts, or those of a column: a list, a JSON list in text, or one a line."""
    if isinstance(texts, tuple):
        return texts
    cell = metadata.get(texts)
    if isinstance(cell, str):
        cell = _listed_in(cell)
    return [str(one) for one in cell] if isinstance(cell, list | tuple) else []


def _listed_in(cell: str) -> Any:
    try:
        return json.loads(cell) if cell.lstrip().startswith("[") else cell.splitlines()
    except ValueError:
        return cell.splitlines()


def _written(answer: str) -> tuple[str, bool]:
    """The pattern that a reply gives, out of a fence, backticks or slashes; and whether it ignores case (`/a/i`)."""
    text = code_of(answer).strip()
    if slashed := _SLASHED.fullmatch(text):
        return slashed[1], "i" in slashed[2]
    return text, False


def _told(text: str, *, must_match: bool) -> str:
    return f"does not match {text[:100]!r}" if must_match else f"matches {text[:100]!r}"


TABLE = (
    Validator(
        "regex",
        "a pattern is found in the reply; `whole` for all of it",
        _regex,
        {"pattern": "^[A-Z]{3}-\\d+$", "match": ["ABC-1"], "no_match": ["abc-1"]},
    ),
    Validator(
        "regex-on-examples",
        "the pattern that the model wrote is right on the examples of the sample's columns `match` and `no_match`",
        _on_examples,
        {"match": "match", "no_match": "no_match", "whole": True},
        measure="value",
        settles=True,
    ),
)
