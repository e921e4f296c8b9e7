"""How a use case's samples are asked again: all of its corruptions, and what of a set of samples they leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmbench.corruption.damaging import Applied, applied
from pytest_llmbench.corruption.declared import Corruption, named_all
from pytest_llmbench.corruption.registry import NONE, PARAPHRASE, REORDERED
from pytest_llmbench.errors import UsageError
from pytest_llmbench.options import BY_NAME
from pytest_llmbench.records import Sample

_WHY = {
    REORDERED: "a sample needs options, as lines (`A) ...`) or as a list in the column `options` or `choices`, and an "
    "expected answer that is a letter, a place in the list, or an option's text",
    PARAPHRASE: "a sample needs its paraphrase: a text in the column `paraphrase`, or in a file: {id: text}",
    "malformed-json": "the input has to be or hold a JSON object or list that is not empty",
}
_TEXT = "the input has to hold a text with something to damage; where the prompt is made of columns, say which: "
_TEXT += "corruption: {kinds: [...], columns: [question]}"


@dataclass(frozen=True, slots=True)
class Done:
    """What one corruption made of some samples."""

    label: str
    samples: tuple[Applied, ...]
    left_out: tuple[str, ...]
    """Ids of those that it could do nothing to."""


@dataclass(frozen=True, slots=True)
class Damage:
    """How samples are asked again."""

    kinds: tuple[Corruption, ...] = ()
    seed: int = 0
    columns: tuple[str, ...] = ()
    """What is damaged in place of the input."""

    def told(self, names: Sequence[str], folder: Path) -> Damage:
        """With what the command line says in place of what the use case says.

        Args:
            names: of corruptions, `none`, or nothing: as the use case says.
            folder: of the use case.

        Raises:
            ConfigError: one is none.
        """
        if not names:
            return self
        flag = BY_NAME["corrupt"].flag
        return replace(self, kinds=() if list(names) == [NONE] else named_all(names, flag, folder))

    def done(self, samples: Sequence[Sample], what: str) -> tuple[Done, ...]:
        """What each corruption makes of samples.

        Args:
            samples: those that are asked.
            what: of what they are, for errors.

        Raises:
            UsageError: a corruption can do nothing to any of them, or a damaged one would be called like another.
        """
        ids = {sample.id for sample in samples}
        found = []
        for kind in self.kinds:
            made = [(sample.id, applied(kind, sample, self.seed, self.columns)) for sample in samples]
            done = Done(kind.label, tuple(one for _, one in made if one), tuple(id_ for id_, one in made if not one))
            if samples and not done.samples:
                raise UsageError(
                    f"{what}: the corruption {kind.label!r} can be done to none of the {len(samples)} samples",
                    hint=_WHY.get(kind.kind.name, _TEXT),
                )
            if twin := next((one for one in done.samples if f"{one.asked.id}~{kind.label}" in ids), None):
                raise UsageError(f"{what}: {twin.asked.id!r} with {kind.label} would have the id of another sample")
            found.append(done)
        return tuple(found)
