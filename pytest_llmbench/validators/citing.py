"""Validators of what a reply says where it has it from: quotations that the source has, citations that name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.extras import from_extra
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.limits import Limits, limits
from pytest_llmbench.validators.material import Material, as_text
from pytest_llmbench.validators.overlap import words
from pytest_llmbench.validators.reply_text import one_form, sentences
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

_QUOTED = re.compile(r'"([^"\n]{1,2000})"')
_BLOCK = re.compile(r"^[ \t]*>[ \t]?(.{1,2000})$", re.MULTILINE)
_LEFT_OUT = re.compile(r"\[?(?:\.\.\.|…)\]?")
_MARK = re.compile(r"\[([^\[\]\n]{1,60})\](?![(:])")
_RANGE = re.compile(r"(\d{1,3})\s?[-–]\s?(\d{1,3})")
_FEWEST_WORDS = 3
"""Shorter texts between quotation marks are names and words with a distance, not quotations."""
_MOST_QUOTES = 200
_SHOWN = 5


def quotations(text: str, fewest_words: int = _FEWEST_WORDS) -> list[str]:
    """What a text quotes: between quotation marks of any kind, and in lines that begin with `>`."""
    text = one_form(text)
    found = [match[1].strip() for pattern in (_QUOTED, _BLOCK) for match in pattern.finditer(text)]
    return [each for each in dict.fromkeys(found) if len(words(each)) >= fewest_words]


def stands_in(quotation: str, source_words: str) -> bool:
    """Whether a source has the words of a quotation one after the other; `...` leaves some out.

    Args:
        quotation: what is quoted.
        source_words: the source's words in lower case with a space around each.
    """
    place = 0
    for part in _LEFT_OUT.split(one_form(quotation)):
        sought = f" {' '.join(words(part))} "
        place = source_words.find(sought, place) if sought.strip() else place
        if place < 0:
            return False
    return True


def cited(text: str) -> list[str]:
    """The ids that a text cites, in order: `[1]`, `[2, 3]`, `[4-6]`, `[faq-7]`."""
    return [each for mark in _MARK.findall(text) for each in _ids(mark)]


def _ids(mark: str) -> Iterator[str]:
    for part in re.split(r"[,;]", mark):
        span = _RANGE.fullmatch(part.strip())
        if span and int(span[1]) < int(span[2]) <= int(span[1]) + 100:
            yield from map(str, range(int(span[1]), int(span[2]) + 1))
        elif any(map(str.isalnum, part)):  # `[...]` leaves something out
            yield part.strip().lstrip("^").casefold()


def _parse_quotes(argument: Any, where: Where) -> Scorer:
    given = keys_of(argument, where, {"similarity": float, "fewest_words": int, "count": (int, dict)})
    near = given.get("similarity", 1.0)
    if not 0.5 <= near <= 1:
        raise where.at("similarity").error("must be from 0.5 to 1 (1: word for word)")
    if near < 1:
        from_extra("rapidfuzz", "text")
    fewest = given.get("fewest_words", _FEWEST_WORDS)
    count = limits(given.get("count", 1), where.at("count"), alone="at_least")

    def judge(material: Material) -> Score:
        return _quoted(quotations(material.answer, fewest), f"{material.source}\n{material.input_text}", near, count)

    def faults(_material: Material) -> list[str]:
        return []

    return Plain(judge, faults)


def _quoted(found: Sequence[str], source: str, near: float, count: Limits) -> Score:
    if not count.hold(len(found)):
        return verdict(passed=False, reason=f"{len(found)} quotations, asked: {count}", quotations=len(found))
    plain = one_form(source)
    source_words = f" {' '.join(words(plain))} "
    missing = [each for each in found[:_MOST_QUOTES] if not stands_in(each, source_words)]
    if near < 1:
        missing = [each for each in missing if not _resembles(each, plain, near)]
    share = 1 - len(missing) / min(len(found), _MOST_QUOTES) if found else 1.0
    told = "; ".join(f"not in the source: {each[:120]!r}" for each in missing[:_SHOWN])
    return rated(share, not missing, told or f"the source has all {len(found)} quotations", quotations=len(found))


def _resembles(quotation: str, source: str, near: float) -> bool:
    """Whether some stretch of the source is as like as `near`, by edits of characters."""
    ratio = from_extra("rapidfuzz", "text").fuzz.partial_ratio
    return bool(ratio(quotation.lower(), source.lower(), score_cutoff=100 * near) >= 100 * near)


@dataclass(frozen=True, slots=True)
class Citing:
    """What the citations of a reply have to keep to."""

    ids: tuple[str, ...] = ()
    """Those there are; empty: those that stand in the source."""
    field: str = ""
    """The column with the ids that are to be cited; `expected` is the expected answer."""
    sentences: float = 0.0
    """The share of sentences that must have one."""
    count: Limits = Limits(at_least=1)  # noqa: RUF009  frozen

    def known(self, material: Material) -> frozenset[str]:
        """The ids that may be cited."""
        return frozenset(self.ids or cited(f"{material.source}\n{material.input_text}"))

    def wanted(self, material: Material) -> frozenset[str]:
        """The ids that are to be cited."""
        value = self._said(material)
        if isinstance(value, list | tuple):
            return frozenset(as_text(each).strip("[] ").casefold() for each in value)
        text = as_text(value)
        return frozenset(cited(text) or [each for part in [text] for each in _ids(part)])

    def score(self, material: Material) -> Score:
        """All citations are known, there are enough, and they are the right ones."""
        if self.field and self._said(material) is None:
            return unscored(f"the sample does not say which ids are to be cited ({self.field})")
        found = cited(material.answer)
        if not self.count.hold(len(found)):
            return verdict(passed=False, reason=f"{len(found)} citations, asked: {self.count}", cited=found[:20])
        known = self.known(material)
        unknown = [each for each in found if each not in known]
        faults = [f"[{each}] is no id of the source" for each in dict.fromkeys(unknown)]
        faults.extend(self._too_rare(material.answer))
        share = 1 - len(unknown) / len(found) if found else 1.0
        if self.field:
            share, wrong = _matched(frozenset(found), self.wanted(material))
            faults.extend(wrong)
        told = "; ".join(faults[:_SHOWN]) or f"{len(found)} citations are right"
        return rated(share, not faults, told, cited=sorted(set(found))[:20])

    def defects(self, material: Material) -> list[str]:
        """No ids to cite, or expected ones that the source does not have."""
        known = self.known(material)
        if not known:
            return ["the source has no ids to cite, such as [1]"]
        unknown = sorted(self.wanted(material) - known) if self.field else []
        missing = [f"no ids in the column {self.field!r}"] if self.field and not self.wanted(material) else []
        return [*missing, *(f"the id {each[:60]!r} that is to be cited is not in the source" for each in unknown)]

    def _said(self, material: Material) -> Any:
        return material.expected if self.field == "expected" else material.metadata.get(self.field)

    def _too_rare(self, text: str) -> list[str]:
        if not self.sentences:
            return []
        told = [each for each in _sentences(text) if words(_MARK.sub("", each))]
        share = sum(bool(_MARK.search(each)) for each in told) / len(told) if told else 0.0
        return [] if share >= self.sentences else [f"{share:.0%} of the sentences cite, asked: {self.sentences:.0%}"]


def _sentences(text: str) -> Iterator[str]:
    """Sentences, each with the citation that follows its full stop."""
    held = ""
    for each in (part for line in text.splitlines() for part in sentences(line)):
        if _MARK.match(each.lstrip()) and held:
            mark = _MARK.match(each.lstrip())
            end = mark.end() if mark else 0
            yield held + each.lstrip()[:end]
            held = each.lstrip()[end:]
        else:
            if held.strip():
                yield held
            held = each
    if held.strip():
        yield held


def _matched(found: frozenset[str], wanted: frozenset[str]) -> tuple[float, list[str]]:
    """F1 of the ids that are cited, and what is missing or too much."""
    common = len(found & wanted)
    value = 2 * common / (len(found) + len(wanted)) if found or wanted else 1.0
    missing = [f"[{each[:60]}] is not cited" for each in sorted(wanted - found)]
    return value, [*missing, *(f"[{each}] is cited and is not to be" for each in sorted(found - wanted))]


def _parse_citations(argument: Any, where: Where) -> Scorer:
    given = keys_of(argument, where, {"ids": list, "match": str, "sentences": float, "count": (int, dict)})
    if not 0 <= given.get("sentences", 0) <= 1:
        raise where.at("sentences").error("must be a share from 0 to 1")
    return Citing(
        ids=tuple(str(each).strip("[] ").casefold() for each in given.get("ids", [])),
        field=given.get("match", ""),
        sentences=given.get("sentences", 0.0),
        count=limits(given.get("count", 1), where.at("count"), alone="at_least"),
    )


TABLE: tuple[Validator, ...] = (
    Validator(
        "quotes",
        "every quotation stands in the source, word for word or nearly",
        _parse_quotes,
        {"similarity": 0.9, "count": 1},
        measure="value",
        settles=True,
    ),
    Validator(
        "citations",
        "every citation ([1], [faq-7]) names an id of the source; with `match`, they are those of a column",
        _parse_citations,
        {"sentences": 0.5, "match": "expected"},
        measure="value",
        settles=True,
    ),
)
