"""Validators that measure how close a reply is to a reference: words shared, edits between, BLEU and chrF.

The reference is the sample's expected answer, or the argument: a text, or a list of texts of which the nearest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.extras import from_extra
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators import edits, overlap, translation
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, graded, keys_of, unscored

Measure = Callable[[str, str], Score]
"""Of a reply and one reference."""
_SIDES = ("f1", "precision", "recall")


def references(material: Material, given: Any) -> tuple[str, ...]:
    """What a reply is held against: the texts of an argument, else the expected answer; a list gives several."""
    value = material.expected if given is None else given
    texts = map(as_text, value) if isinstance(value, list | tuple) else (as_text(value),)
    return tuple(text for text in texts if text.strip())


def nearest(measure: Measure, given: Any, fault: Callable[[str], str]) -> Scorer:
    """A scorer that holds a reply against each reference and keeps the best score.

    Args:
        measure: of the reply and one reference.
        given: the argument's references; None: the sample's expected answer.
        fault: what is wrong with a reference; empty where nothing is.
    """

    def judge(material: Material) -> Score:
        wanted = references(material, given)
        if not wanted:
            return unscored(NOTHING_EXPECTED)
        return max((measure(material.answer, each) for each in wanted), key=lambda score: score.value or 0)

    def faults(material: Material) -> list[str]:
        wanted = references(material, given)
        return [said for said in map(fault, wanted) if said] if wanted else [NOTHING_EXPECTED]

    return Plain(judge, faults)


def _overlap(name: str, count: Callable[[str, str], overlap.Overlap]) -> Callable[[Any, Where], Scorer]:
    def parse(argument: Any, where: Where) -> Scorer:
        if name == "rouge-l":
            from_extra("rapidfuzz.distance", "text")
        given, options = given_reference(argument, where, {"of": str})
        side = options.get("of", "f1")
        if side not in _SIDES:
            raise where.at("of").error(f"must be one of {', '.join(_SIDES)}")

        def measure(reply: str, reference: str) -> Score:
            found = count(reply, reference)
            value = getattr(found, side)
            parts = {each: round(getattr(found, each), 6) for each in _SIDES}
            told = name if side == "f1" else f"{name} {side}"
            return graded(value, f"{told} {value:.3f}", **parts)

        return nearest(measure, given, _no_word)

    return parse


def _parse_edit_similarity(argument: Any, where: Where) -> Scorer:
    from_extra("rapidfuzz.distance", "text")
    given, _ = given_reference(argument, where, {})
    return nearest(_edit_similarity, given, _too_long)


def _edit_similarity(reply: str, reference: str) -> Score:
    if fault := _too_long(reference):
        return unscored(fault)
    value = edits.similarity(reply, reference)
    return graded(value, f"{value:.1%} of the characters stay as they are")


def _error_rate(count: Callable[..., edits.Edits], key: str, unit: str) -> Callable[[Any, Where], Scorer]:
    options_of: Mapping[str, type] = {"as_written": bool} if unit == "words" else {}
    fault_of = _no_word if unit == "words" else _too_long

    def parse(argument: Any, where: Where) -> Scorer:
        from_extra("rapidfuzz.distance", "text")
        given, options = given_reference(argument, where, options_of)

        def measure(reply: str, reference: str) -> Score:
            if fault := fault_of(reference):
                return unscored(fault)
            found = count(reply, reference, **options)
            reason = (
                f"{found.substituted} substituted, {found.deleted} left out, {found.inserted} added "
                f"of {found.reference} {unit}"
            )
            counts = {"substituted": found.substituted, "deleted": found.deleted, "inserted": found.inserted}
            return graded(1 - found.rate, reason, **{key: round(found.rate, 6)}, **counts)

        return nearest(measure, given, fault_of)

    return parse


def _parse_bleu(argument: Any, where: Where) -> Scorer:
    given, options = given_reference(argument, where, {"tokenize": str})
    tokenize = options.get("tokenize", "13a")
    if tokenize not in translation.TOKENIZERS:
        raise where.at("tokenize").error(f"must be one of {', '.join(translation.TOKENIZERS)}")
    return _translation("BLEU", given, lambda reply, wanted: translation.bleu(reply, wanted, tokenize))


def _parse_chrf(argument: Any, where: Where) -> Scorer:
    given, options = given_reference(argument, where, {"word_order": int})
    order = options.get("word_order", 0)
    if order not in (0, 1, 2):
        raise where.at("word_order").error("must be 0 (chrF), 1 or 2 (chrF++)")
    return _translation("chrF", given, lambda reply, wanted: translation.chrf(reply, wanted, order))


def _translation(name: str, given: Any, count: Callable[[str, tuple[str, ...]], float]) -> Scorer:
    """Scores against all references at once, as BLEU is defined."""
    from_extra("sacrebleu", "text")

    def judge(material: Material) -> Score:
        wanted = references(material, given)
        if not wanted:
            return unscored(NOTHING_EXPECTED)
        value = count(material.answer, wanted)
        cut = len(material.answer) > translation.LONGEST
        note = f"; only the first {translation.LONGEST} characters were compared" if cut else ""
        return graded(value, f"{name} {value:.3f}{note}")

    def faults(material: Material) -> list[str]:
        return [] if references(material, given) else [NOTHING_EXPECTED]

    return Plain(judge, faults)


def given_reference(argument: Any, where: Where, options: Mapping[str, type]) -> tuple[Any, dict[str, Any]]:
    """The references of an argument, None where it has none, and its options."""
    if isinstance(argument, str | list):
        argument = {"reference": argument}
    found = dict(keys_of(argument, where, {"reference": (str, list), **options}))
    given = found.pop("reference", None)
    if given is not None and not references(Material(), given):
        raise where.error("the reference is empty")
    return given, found


def _no_word(reference: str) -> str:
    count = len(overlap.words(reference))
    if count > edits.MOST_WORDS:
        return f"the expected answer has {count} words; they are compared up to {edits.MOST_WORDS}"
    return "" if count else f"the expected answer {reference[:80]!r} has no word"


def _too_long(reference: str) -> str:
    if len(reference) <= edits.MOST_CHARACTERS:
        return ""
    return f"the expected answer has {len(reference)} characters; they are compared up to {edits.MOST_CHARACTERS}"


TABLE: tuple[Validator, ...] = (
    Validator(
        "f1",
        "words shared with the expected answer in any order, as SQuAD counts them",
        _overlap("f1", overlap.token_f1),
        {"at_least": 0.8},
        measure="value",
    ),
    Validator(
        "rouge-1",
        "words shared with the expected answer",
        _overlap("rouge-1", lambda given, wanted: overlap.rouge_n(given, wanted, 1)),
        {"at_least": 0.4},
        measure="value",
    ),
    Validator(
        "rouge-2",
        "pairs of words shared with the expected answer",
        _overlap("rouge-2", lambda given, wanted: overlap.rouge_n(given, wanted, 2)),
        {"at_least": 0.2, "of": "recall"},
        measure="value",
    ),
    Validator(
        "rouge-l",
        "the longest common sequence of words",
        _overlap("rouge-l", overlap.rouge_l),
        {"at_least": 0.4},
        needs="text",
        measure="value",
    ),
    Validator(
        "bleu",
        "sentence BLEU, for translations",
        _parse_bleu,
        {"at_least": 0.3},
        needs="text",
        measure="value",
    ),
    Validator(
        "chrf",
        "runs of characters shared (chrF; `word_order: 2` is chrF++), for translations",
        _parse_chrf,
        {"at_least": 0.5, "word_order": 2},
        needs="text",
        measure="value",
    ),
    Validator(
        "edit-similarity",
        "1 − Levenshtein distance of characters / length of the longer text",
        _parse_edit_similarity,
        {"at_least": 0.9},
        needs="text",
        measure="value",
    ),
    Validator(
        "word-error-rate",
        "words substituted, left out and added, per word expected: for transcripts",
        _error_rate(edits.word_edits, "wer", "words"),
        {"at_most": 0.1},
        needs="text",
        measure="wer",
        lower_is_better=True,
    ),
    Validator(
        "character-error-rate",
        "characters substituted, left out and added, per character expected",
        _error_rate(edits.character_edits, "cer", "characters"),
        {"at_most": 0.05},
        needs="text",
        measure="cer",
        lower_is_better=True,
    ),
)
