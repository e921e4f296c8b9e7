"""Words and phrases that a reply must not contain: own ones, those of a file, and short lists that are shipped.

A word list finds words, not intentions: it is a tripwire, and no judge of what is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.overlap import words
from pytest_llmbench.validators.reply_text import one_form
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, verdict

LISTS = ("jailbreak", "profanity", "threats")
"""English; one word or phrase a line in `data/word_lists/`."""
_SHOWN = 10


def present(text: str, banned: Mapping[str, str]) -> list[str]:
    """The banned words and phrases that a text contains as whole words, in any case.

    Args:
        text: any text.
        banned: by their words, `key_of` each.
    """
    found = words(one_form(text))
    longest = max((key.count(" ") + 1 for key in banned), default=0)
    hits = dict.fromkeys(banned[word] for word in found if word in banned)
    for size in range(2, longest + 1):
        runs = (" ".join(found[start : start + size]) for start in range(len(found) - size + 1))
        hits |= dict.fromkeys(banned[run] for run in runs if run in banned)
    return list(hits)


def key_of(phrase: str) -> str:
    """A word or phrase as it is compared."""
    return " ".join(words(one_form(phrase)))


@cache
def shipped(name: str) -> tuple[str, ...]:
    """The words of a list of `LISTS`."""
    return tuple(_lines(files("pytest_llmbench").joinpath("data", "word_lists", f"{name}.txt").read_text("utf-8")))


def _lines(text: str) -> Iterable[str]:
    """One word or phrase a line; `#` begins a remark."""
    return filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))


def _parse(argument: Any, where: Where) -> Scorer:
    given = keys_of({"words": argument} if isinstance(argument, list) else argument, where, _KEYS)
    for place, name in enumerate(given.get("lists", [])):
        if name not in LISTS:
            raise where.at("lists", place).error(f"must be one of {', '.join(LISTS)}")
    phrases = [str(each) for each in given.get("words", [])]
    phrases += [each for name in given.get("lists", []) for each in shipped(name)]
    if "file" in given:
        phrases += _lines(where.at("file").text_of(given["file"]))
    banned = {key: phrase for phrase in phrases if (key := key_of(phrase))}
    for phrase in map(str, given.get("allow", [])):
        banned.pop(key_of(phrase), None)
    if not banned:
        raise where.error("names no word: give words, lists or a file", hint=f"lists: {', '.join(LISTS)}")
    return _scorer(banned)


def _scorer(banned: Mapping[str, str]) -> Scorer:
    def judge(material: Material) -> Score:
        found = present(material.answer, banned)
        told = f"the reply contains {', '.join(map(repr, found[:_SHOWN]))}" if found else "no banned word"
        return verdict(not found, told, found=found[:_SHOWN])

    def faults(material: Material) -> list[str]:
        found = present(material.expected, banned) if isinstance(material.expected, str) else []
        return [f"the expected answer itself contains {found[0]!r}"] if found else []

    return Plain(judge, faults)


_KEYS: Mapping[str, type] = {"words": list, "lists": list, "file": str, "allow": list}

TABLE: tuple[Validator, ...] = (
    Validator(
        "banned-words",
        "none of the words and phrases: own ones, a file's, or the lists jailbreak, profanity, threats",
        _parse,
        {"words": ["guarantee"], "lists": ["profanity"]},
    ),
)
