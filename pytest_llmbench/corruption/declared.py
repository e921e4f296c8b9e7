"""Corruptions as a use case or the command line says them: `typos-10`, `casing-upper`, `distractors: {count: 2}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.corruption.registry import CORRUPTIONS, DISTRACTORS, PARAPHRASE, Kind
from pytest_llmbench.errors import ConfigError, UsageError, did_you_mean
from pytest_llmbench.validators.scorer import Locate, Where, is_kind

_NUMBER = re.compile(r"\d{1,3}(\.\d{1,2})?")
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which inputs are damaged."""

    label: str
    """What results call it; part of a test's id."""
    kind: Kind
    strength: float
    """A share from 0 to 1, or a number of flaws or sentences."""
    options: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] | None = None
    """Of distractors: what is told in place of what is shipped."""
    paraphrases: Mapping[str, str] | None = None
    """By the samples' ids, where a file has them."""

    @property
    def _what(self) -> tuple[object, ...]:
        return self.kind.name, self.strength, tuple(sorted(self.options.items()))


def declared_all(specs: Sequence[Any], locate: Locate, folder: Path | None) -> tuple[Corruption, ...]:
    """The corruptions of a list.

    Args:
        specs: a name with its strength, or a mapping of the name to its strength or keys.
        locate: makes an error of a key path below the list and a sentence.
        folder: where files stand that are named; None: none can be.

    Raises:
        ConfigError: an item describes none, with its place.
    """
    return _distinct([_declared(spec, Where(locate, (place,), folder)) for place, spec in enumerate(specs)], locate)


def named_all(names: Sequence[str], flag: str, folder: Path | None = None) -> tuple[Corruption, ...]:
    """The corruptions that are named on the command line.

    Args:
        names: `typos-10`, each.
        flag: where they were said, for errors.
        folder: of the use case.

    Raises:
        ConfigError: one describes none.
    """

    def locate(_path: KeyPath, message: str) -> ConfigError:
        return ConfigError(f"{flag}: {message}")

    return declared_all(names, locate, folder)


def _distinct(found: list[Corruption], locate: Locate) -> tuple[Corruption, ...]:
    for place, one in enumerate(found):
        for other in found[:place]:
            if one.label == other.label or one._what == other._what:  # noqa: SLF001 - its own
                raise locate((place,), f"{one.label!r} is the same as {other.label!r} before it")
    return tuple(found)


def _declared(spec: Any, where: Where) -> Corruption:
    if isinstance(spec, str):
        kind, rest = _named(spec, where)
        return _of_words(spec, kind, rest, where)
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise where.error(
            "must be a corruption's name (typos-10), or a mapping of one name ({distractors: {count: 2}})"
        )
    [(name, argument)] = spec.items()
    here = where.at(name)
    kind, rest = _named(str(name), here)
    if rest:
        raise here.error(f"say {kind.name!r} with its keys, or {name!r} alone")
    return _of_keys(kind, argument, here)


def _named(text: str, where: Where) -> tuple[Kind, str]:
    """The kind, and what stands behind its name."""
    fitting = [name for name in CORRUPTIONS if text == name or text.startswith(f"{name}-")]
    if not fitting:
        raise where.error(
            f"there is no corruption {text!r}{did_you_mean(text, CORRUPTIONS)}",
            hint=f"corruptions: {', '.join(sorted(CORRUPTIONS))}; one of your own is registered in a conftest.py, "
            "which pytest and `llmbench run` load and other commands do not",
        )
    name = max(fitting, key=len)
    return CORRUPTIONS[name], text[len(name) + 1 :]


def _of_words(label: str, kind: Kind, rest: str, where: Where) -> Corruption:
    strength, options = kind.strength, {}
    for word in filter(None, rest.split("-")):
        key = next((key for key, words in kind.choices.items() if word in words), "")
        if key:
            options[key] = word
        elif kind.counts and _NUMBER.fullmatch(word):
            strength = float(word) if kind.counts == "count" else float(word) / 100
        else:
            raise where.error(f"nobody knows {word!r} of {label!r}{_suffixes(kind, word)}")
    return _made(label, kind, strength, options, where)


def _suffixes(kind: Kind, word: str) -> str:
    words = [each for choice in kind.choices.values() for each in choice]
    known = [*({"share": ["a number of percent"], "count": ["a number"]}.get(kind.counts, [])), *words]
    return f"{did_you_mean(word, words)} (behind {kind.name} may stand {', '.join(known) or 'nothing'})"


def _of_keys(kind: Kind, argument: Any, where: Where) -> Corruption:
    if is_kind(argument, float) and kind.counts:
        argument = {_strength_key(kind): argument}
    if not isinstance(argument, Mapping):
        raise where.error(f"must be a mapping with some of {', '.join(kind.keys) or 'nothing'}")
    for key in argument:
        if key not in kind.keys:
            raise where.at(key).error(f"unknown key{did_you_mean(key, kind.keys)} (allowed: {', '.join(kind.keys)})")
    strength = argument.get(_strength_key(kind), kind.strength) if kind.counts else kind.strength
    if not is_kind(strength, float):
        raise where.at(_strength_key(kind)).error(f"must be {kind.allowed}")
    options = {key: _option(kind, key, argument[key], where.at(key)) for key in argument if key != _strength_key(kind)}
    return _made(_label(kind, argument, strength, options), kind, strength, options, where)


def _strength_key(kind: Kind) -> str:
    return "count" if kind.counts == "count" else "strength"


def _option(kind: Kind, key: str, said: Any, where: Where) -> str:
    if not isinstance(said, str) or not said.strip():
        raise where.error("must be a text")
    words = kind.choices.get(key)
    if words and said not in words:
        raise where.error(f"must be one of {', '.join(words)}{did_you_mean(said, words)}")
    return said


def _label(kind: Kind, argument: Mapping[str, Any], strength: float, options: Mapping[str, str]) -> str:
    shown = strength if kind.counts == "count" else strength * 100
    said = [f"{shown:g}"] if _strength_key(kind) in argument else []
    said += [re.sub(r"[^\w.]+", "_", value) for value in options.values()]
    return "-".join([kind.name, *said])[:_LONGEST_LABEL]


def _made(label: str, kind: Kind, strength: float, options: dict[str, str], where: Where) -> Corruption:
    if not kind.may_be(strength):
        raise where.error(f"the strength of {label!r} is {strength:g}: it must be {kind.allowed}")
    if kind.name == PARAPHRASE and len(options) > 1:
        raise where.error("paraphrases stand in a column or in a file, not in both")
    found = Corruption(label, kind, strength, options)
    if "file" in options and kind.name == DISTRACTORS:
        return replace(found, sentences=_sentences(options["file"], strength, where.at("file")))
    if "file" in options and kind.name == PARAPHRASE:
        return replace(found, paraphrases=_paraphrases(options["file"], where.at("file")))
    return found


def _sentences(name: str, count: float, where: Where) -> tuple[str, ...]:
    lines = (line.strip() for line in where.text_of(name).splitlines())
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if len(found) < count:
        raise where.error(f"{name!r} has {len(found)} sentences, and {count:g} are told at once")
    return found


def _paraphrases(name: str, where: Where) -> dict[str, str]:
    text = where.text_of(name)
    try:
        found = strict_yaml.parse(text, name).data
    except UsageError as error:
        raise where.error(error.message, hint=error.hint) from None
    if not found or not all(isinstance(text, str) and text.strip() for text in found.values()):
        raise where.error(f"{name!r} must be a mapping of samples' ids to texts ({{s1: in other words}})")
    return {str(id_): text for id_, text in found.items()}
