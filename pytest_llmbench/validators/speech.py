"""The language that a reply is written in, and the mood it is written in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.extras import from_extra
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.limits import Limits, limits
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.reply_text import composed, sentences
from pytest_llmbench.validators.scorer import (
    Plain,
    Scorer,
    Validator,
    Where,
    keys_of,
    rated,
    unscored,
    verdict,
)

_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|(?<!\S)\S{1,64}@\S{1,200}", re.DOTALL)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_FEWEST_LETTERS = 20
"""Nobody can tell the language of `OK`."""
_PARAGRAPH_LETTERS = 80
_MOST_PARAGRAPHS = 50
_MOST_CHARACTERS = 20_000
"""Of a paragraph, that are looked at."""
_MOST_PROSE = 200_000
_LIKELY = 0.2
"""The probability from which a language may be the one: Danish and Norwegian, say, differ in a word or two."""
_CONFORMING = 0.8
"""The share of the letters that has to be in the language, where nothing else is asked."""
_MOST_SENTENCES = 200
_SENTENCE_CHARACTERS = 500
MOODS: Mapping[str, Limits] = {
    "positive": Limits(at_least=0.05),
    "neutral": Limits(at_least=-0.05, at_most=0.05),
    "negative": Limits(at_most=-0.05),
    "not negative": Limits(at_least=-0.05),
    "not positive": Limits(at_most=0.05),
}
"""What VADER's compound score calls so."""


@cache
def languages() -> frozenset[str]:
    """The codes of the languages that are told apart (ISO 639-1).

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    return frozenset(code for code, _ in from_extra("py3langid", "text").rank(""))


def probabilities(text: str) -> dict[str, float]:
    """How likely a text is in which language, best first; its log-likelihoods flattened by the length of the text."""
    told = from_extra("py3langid", "text").rank(composed(text[:_MOST_CHARACTERS]))
    scale = math.sqrt(max(1, len(text[:_MOST_CHARACTERS].encode("utf-8", "replace"))))
    weights = {code: math.exp((score - told[0][1]) / scale) for code, score in told}
    total = sum(weights.values())
    return {code: weight / total for code, weight in weights.items()}


def _parse_language(argument: Any, where: Where) -> Scorer:
    asked = [argument] if isinstance(argument, str) else argument
    if asked is not None and not (isinstance(asked, list) and asked and all(isinstance(each, str) for each in asked)):
        raise where.error("must be a language code (de), a list of them, or nothing: then the expected answer's")
    for code in asked or ():
        if code not in languages():
            near = did_you_mean(code, languages())
            raise where.error(f"{code!r} is no language code that is known{near}", hint="ISO 639-1: en, de, fr, zh")
    languages()
    return Plain(lambda material: _in_language(material, asked), lambda material: _language_faults(material, asked))


def _in_language(material: Material, asked: list[str] | None) -> Score:
    wanted = asked or _language_of(material.wanted) or _language_of(material.input_text)
    if not wanted:
        return unscored("neither the expected answer nor the input is long enough to tell its language")
    text = _prose(material.answer)
    if _letters(text) < _FEWEST_LETTERS:
        return unscored(f"the reply has less than {_FEWEST_LETTERS} letters to tell its language")
    main = next(iter(probabilities(text)))
    share = _share(text, wanted)
    reason = f"the reply is in {main!r}, asked: {' or '.join(wanted)}; {share:.0%} of its letters are"
    return rated(share, share >= _CONFORMING, reason, language=main)


def _language_faults(material: Material, asked: list[str] | None) -> list[str]:
    found = _language_of(material.wanted) if isinstance(material.expected, str) else []
    if not asked or not found or any(probabilities(_prose(material.wanted)).get(each, 0) > _LIKELY for each in asked):
        return []
    return [f"the expected answer is in {found[0]!r}, not in {' or '.join(asked)}"]


def _share(text: str, wanted: list[str]) -> float:
    """The share of letters in paragraphs that may be in a wanted language; short paragraphs go with the ones before."""
    parts: list[str] = []
    for part in _PARAGRAPHS.split(text):
        if parts and (_letters(parts[-1]) < _PARAGRAPH_LETTERS or _letters(part) < _FEWEST_LETTERS):
            parts[-1] += f"\n{part}"
        else:
            parts.append(part)
    counted = [(part, _letters(part)) for part in parts[:_MOST_PARAGRAPHS]]
    right = sum(count for part, count in counted if _may_be(part, wanted))
    return right / (sum(count for _, count in counted) or 1)


def _may_be(text: str, wanted: list[str]) -> bool:
    found = probabilities(text)
    return any(found.get(code, 0) >= _LIKELY for code in wanted)


def _language_of(text: str) -> list[str]:
    plain = _prose(text)
    return [next(iter(probabilities(plain)))] if _letters(plain) >= _FEWEST_LETTERS else []


def _prose(text: str) -> str:
    """The beginning of a text, without code and addresses, which have no language."""
    return _NO_PROSE.sub(" ", text[:_MOST_PROSE])


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


@cache
def _vader() -> Any:
    return from_extra("vaderSentiment.vaderSentiment", "text").SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """VADER's compound score, -1 to 1: the mean over sentences, as its authors have it for longer texts.

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    told = [each[:_SENTENCE_CHARACTERS] for _, each in zip(range(_MOST_SENTENCES), sentences(text), strict=False)]
    scores = [_vader().polarity_scores(each)["compound"] for each in told]
    return math.fsum(scores) / len(scores) if scores else 0.0


def _parse_sentiment(argument: Any, where: Where) -> Scorer:
    _vader()
    asked = _mood(argument, where) if argument is not None else None

    def judge(material: Material) -> Score:
        limit = asked or MOODS.get(material.wanted.strip().lower())
        if limit is None:
            return unscored(f"the expected answer is none of {', '.join(MOODS)}")
        if not material.answer:
            return unscored("the reply is empty")
        found = round(sentiment(material.answer), 4)
        return verdict(limit.hold(found), f"compound {found:g}, asked: {limit}", compound=found)

    def faults(material: Material) -> list[str]:
        known = asked is not None or material.wanted.strip().lower() in MOODS
        return [] if known else [f"the expected answer is none of {', '.join(MOODS)}"]

    return Plain(judge, faults)


def _mood(argument: Any, where: Where) -> Limits:
    if isinstance(argument, str):
        if argument not in MOODS:
            raise where.error(f"must be one of {', '.join(MOODS)}, or limits of VADER's compound score")
        return MOODS[argument]
    given = keys_of(argument, where, {"compound": dict})
    if "compound" not in given:
        raise where.error("must have 'compound' ({compound: {at_least: 0.2}})")
    return limits(given["compound"], where.at("compound"))


TABLE: tuple[Validator, ...] = (
    Validator(
        "language",
        "the reply is in a language, all of its paragraphs; without an argument in that of the expected answer",
        _parse_language,
        "de",
        needs="text",
        measure="value",
        settles=True,
    ),
    Validator(
        "sentiment",
        "positive, neutral, negative, or limits of VADER's compound score; English",
        _parse_sentiment,
        "not negative",
        needs="text",
    ),
)
