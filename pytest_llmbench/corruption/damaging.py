"""A sample with its input damaged: its id, what is expected, roles and media stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_llmbench.corruption.choices import reordered
from pytest_llmbench.corruption.declared import Corruption
from pytest_llmbench.corruption.registry import DISTRACTORS, PARAPHRASE, REORDERED
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import DamagedSample, Sample

Texts = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Applied:
    """A sample as it is asked with damage."""

    label: str
    """Of the corruption."""
    asked: DamagedSample
    scored: Sample
    """By what replies to it are scored: the clean sample, or the one with its options in the new order."""


def applied(corruption: Corruption, sample: Sample, seed: int = 0, columns: Sequence[str] = ()) -> Applied | None:
    """A sample with damage; the same one every time.

    Args:
        corruption: how.
        sample: what; not changed.
        seed: another one, other damage.
        columns: what is damaged in place of the input, for prompts that are made of columns.

    Returns:
        None where it cannot be done: there is no such text in it, or nothing of it would change.

    Raises:
        UsageError: an own function does not keep to what is asked of it.
    """
    own_seed = chosen_seed(seed, corruption.kind.name, sample.id)
    if corruption.kind.name == REORDERED:
        changed = reordered(sample, own_seed, corruption.options.get("column", ""))
        return None if changed is None else Applied(corruption.label, asked := _asked(sample, changed), asked)
    change = _paraphrase(corruption, sample) if corruption.kind.name == PARAPHRASE else _change(corruption, own_seed)
    changed = _in_columns(sample, columns, change) if columns else _in_input(sample, change)
    return None if changed is None else Applied(corruption.label, _asked(sample, changed), sample)


def chosen_seed(seed: int, name: str, sample: str) -> int:
    """The seed of one sample's damage: samples are told apart by their ids alone, strengths of a kind not at all."""
    content = f"{seed}\n{name}\n{sample}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def _asked(clean: Sample, changed: Sample) -> DamagedSample:
    return DamagedSample(changed.id, changed.input, changed.expected, changed.metadata, clean)


def _change(corruption: Corruption, seed: int) -> Texts:
    kind, function = corruption.kind, corruption.kind.change
    assert function is not None
    if kind.is_own:
        return lambda text: _own(corruption, text, seed)
    options: dict[str, Any] = {key: word for key, word in corruption.options.items() if key in kind.choices}
    if kind.name == DISTRACTORS:
        options["of"] = corruption.sentences
    return lambda text: function(text, corruption.strength, seed, **options)


def _own(corruption: Corruption, text: str, seed: int) -> str:
    """What an own function makes of a text; asked twice, for damage that changes tells nothing when it is repeated."""
    function = corruption.kind.change
    assert function is not None
    found, again = (function(text, corruption.strength, seed) for _ in range(2))
    what = f"the corruption {corruption.kind.name!r}"
    if not isinstance(found, str) or (text.strip() and not found.strip()):
        raise UsageError(f"{what} gave {found!r} for a text", hint="its function returns a text that is not empty")
    if found != again:
        raise UsageError(
            f"{what} gave two different texts for the same text, strength and seed",
            hint="take all chance from the seed: random.Random(seed)",
        )
    return found


def _paraphrase(corruption: Corruption, sample: Sample) -> Texts:
    if corruption.paraphrases is not None:
        said = corruption.paraphrases.get(sample.id)
    else:
        said = sample.metadata.get(corruption.options.get("column", PARAPHRASE))
    return lambda text: said if isinstance(said, str) and said.strip() else text


def _in_columns(sample: Sample, columns: Sequence[str], change: Texts) -> Sample | None:
    cells = {name: cell for name in columns if isinstance(cell := sample.metadata.get(name), str)}
    changed = {name: change(cell) for name, cell in cells.items()}
    return replace(sample, metadata={**sample.metadata, **changed}) if changed != cells else None


def _in_input(sample: Sample, change: Texts) -> Sample | None:
    """With another input; a column that holds the same text is the input under its own name."""
    if not isinstance(sample.input, str):
        messages = _in_messages(sample.input, change)
        return None if messages is None else replace(sample, input=messages)
    text = change(sample.input) if sample.input.strip() else sample.input
    if text == sample.input:
        return None
    columns = {name: text if cell == sample.input else cell for name, cell in sample.metadata.items()}
    return replace(sample, input=text, metadata=columns)


def _in_messages(messages: Sequence[Mapping[str, Any]], change: Texts) -> list[Mapping[str, Any]] | None:
    """With another last message of the user's."""
    last = max((place for place, each in enumerate(messages) if each.get("role") == "user"), default=None)
    if last is None:
        return None
    content = messages[last].get("content")
    changed = change(content) if isinstance(content, str) and content.strip() else _in_parts(content, change)
    if changed is None or changed == content:
        return None
    return [*messages[:last], {**messages[last], "content": changed}, *messages[last + 1 :]]


def _in_parts(parts: Any, change: Texts) -> list[Any] | None:
    """With another text in place of the longest one; pictures and sound are not looked at."""
    texts = {
        place: part["text"]
        for place, part in enumerate(parts if isinstance(parts, list | tuple) else ())
        if isinstance(part, Mapping) and part.get("type") == "text" and str(part.get("text", "")).strip()
    }
    if not texts:
        return None
    longest = max(texts, key=lambda place: len(texts[place]))
    return [{**part, "text": change(part["text"])} if place == longest else part for place, part in enumerate(parts)]
