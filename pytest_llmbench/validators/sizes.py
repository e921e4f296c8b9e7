"""How long a reply is, and how hard it is to read.

Readability: Flesch and Flesch-Kincaid are for English, their syllables are estimated from spelling; LIX and ARI count
letters, words and sentences only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.limits import Limits, limits
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.reply_text import sentences
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, rated, unscored

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+){0,5}")
_VOWELS = re.compile(r"[aeiouyàáâäèéêëìíîïòóôöùúûü]+")
_SILENT = re.compile(r"(?<=[^aeiouyl])e$|(?<=[^aeiouytd])ed$|(?<=[^aeiouyscxz])es$|(?<=[aeiouy]l)e$")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_FEWEST_WORDS = 5
"""Below that a formula of readability says nothing."""

Measure = Callable[[str], float]


def words(text: str) -> list[str]:
    """The words of a text, hyphens and apostrophes inside."""
    return _WORD.findall(text)


def syllables(word: str) -> int:
    """The syllables of an English word, estimated: groups of vowels less a silent ending."""
    return max(1, len(_VOWELS.findall(_SILENT.sub("", word[:60].lower()))))


def flesch(text: str) -> float:
    """Flesch reading ease: 100 is very easy, 30 is academic."""
    found, per_sentence = words(text), _words_per_sentence(text)
    return 206.835 - 1.015 * per_sentence - 84.6 * sum(map(syllables, found)) / len(found)


def grade(text: str) -> float:
    """Flesch-Kincaid: years of school in the United States."""
    found, per_sentence = words(text), _words_per_sentence(text)
    return 0.39 * per_sentence + 11.8 * sum(map(syllables, found)) / len(found) - 15.59


def lix(text: str) -> float:
    """LIX, for any language of letters: below 30 is easy, above 50 is hard."""
    found = words(text)
    return _words_per_sentence(text) + 100 * sum(len(word) > 6 for word in found) / len(found)


def ari(text: str) -> float:
    """The automated readability index: years of school in the United States."""
    found = words(text)
    return 4.71 * sum(map(len, found)) / len(found) + 0.5 * _words_per_sentence(text) - 21.43


READABILITY: Mapping[str, Measure] = {"flesch": flesch, "grade": grade, "lix": lix, "ari": ari}

LENGTHS: Mapping[str, Callable[[Material], float | None]] = {
    "words": lambda material: len(words(material.answer)),
    "characters": lambda material: len(material.answer),
    "sentences": lambda material: sum(bool(words(each)) for each in sentences(material.answer)),
    "lines": lambda material: sum(bool(line.strip()) for line in material.answer.splitlines()),
    "paragraphs": lambda material: sum(bool(part.strip()) for part in _PARAGRAPHS.split(material.answer)),
    "tokens": lambda material: material.reply.usage.completion_tokens if material.reply else None,
}


def _words_per_sentence(text: str) -> float:
    return len(words(text)) / max(1, sum(bool(words(each)) for each in sentences(text)))


def _parse_length(argument: Any, where: Where) -> Scorer:
    asked = _limits_by(argument, where, list(LENGTHS))

    def judge(material: Material) -> Score:
        counted = {unit: LENGTHS[unit](material) for unit in asked}
        if unknown := [unit for unit, count in counted.items() if count is None]:
            return unscored(f"the number of {unknown[0]} was not told")
        return _held({unit: count for unit, count in counted.items() if count is not None}, asked)

    def faults(material: Material) -> list[str]:
        """An expected answer that is itself too long or too short."""
        units = {unit: limit for unit, limit in asked.items() if unit != "tokens"}
        if not isinstance(material.expected, str) or not units:
            return []
        truth = material.with_reply(material.expected)
        found = _held({unit: LENGTHS[unit](truth) or 0.0 for unit in units}, units)
        return [] if found.passed else [f"the expected answer itself fails: {found.reason}"]

    return Plain(judge, faults)


def _parse_readability(argument: Any, where: Where) -> Scorer:
    asked = _limits_by(argument, where, list(READABILITY))

    def judge(material: Material) -> Score:
        if len(words(material.answer)) < _FEWEST_WORDS:
            return unscored(f"a text of less than {_FEWEST_WORDS} words has no readability")
        return _held({name: round(READABILITY[name](material.answer), 2) for name in asked}, asked)

    return Plain(judge)


def _limits_by(argument: Any, where: Where, names: list[str]) -> dict[str, Limits]:
    given = keys_of(argument, where, dict.fromkeys(names, (int, float, dict)))
    if not given:
        raise where.error(f"must be a mapping with some of {', '.join(names)} ({{{names[0]}: {{at_most: 100}}}})")
    return {name: limits(value, where.at(name)) for name, value in given.items()}


def _held(found: Mapping[str, float], asked: Mapping[str, Limits]) -> Score:
    wrong = [f"{value:g} {name}, asked: {asked[name]}" for name, value in found.items() if not asked[name].hold(value)]
    share = min(asked[name].share(value) for name, value in found.items())
    reason = "; ".join(wrong) or ", ".join(f"{value:g} {name}" for name, value in found.items())
    return rated(share, not wrong, reason, **found)


TABLE: tuple[Validator, ...] = (
    Validator(
        "length",
        "how many words, characters, sentences, lines, paragraphs or tokens; a number alone is the most",
        _parse_length,
        {"words": {"at_least": 20, "at_most": 100}, "sentences": 5},
    ),
    Validator(
        "readability",
        "Flesch reading ease (flesch), Flesch-Kincaid grade (grade), LIX (lix), automated index (ari)",
        _parse_readability,
        {"flesch": {"at_least": 50}},
    ),
)
