"""What a judge goes by: criteria, each with its scale and weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

CriterionKind = Literal["grade", "yes-no", "violations"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing a judge looks at."""

    id: str
    """Lower case, digits and hyphens; unique in its rubric."""
    text: str
    """In words: what is wanted; of `violations` the fault itself, what must not be there."""
    kind: CriterionKind = "grade"
    """`grade`: a number of the scale; `yes-no`: whether it is so; `violations`: each breach is named."""
    weight: float = 1.0
    """Above 0."""
    scale: Mapping[int, str] = field(default_factory=dict)
    """Of a grade: number → what it stands for (its anchor); at least two, the highest is the best."""
    must: bool = False
    """Whether a reply that does not pass this one fails, whatever its total."""

    @property
    def lowest(self) -> int:
        return min(self.scale, default=0)

    @property
    def highest(self) -> int:
        return max(self.scale, default=1)

    def as_mapping(self) -> dict[str, Any]:
        """As an item of `criteria:` in YAML."""
        said: dict[str, Any] = {"id": self.id, "text": self.text, "kind": self.kind, "weight": self.weight}
        scale = {"scale": {str(grade): text for grade, text in self.scale.items()}} if self.scale else {}
        return {**said, **scale, **({"must": True} if self.must else {})}


@dataclass(frozen=True)
class Rubric:
    """Criteria that one reply is judged by."""

    name: str
    criteria: tuple[Criterion, ...]
    title: str = ""
    text: str = ""
    """What is told of the task, before the criteria."""
    pass_at: float = 0.5
    """The total, from 0 to 1, from which a reply passes."""
    needs: frozenset[str] = frozenset()
    """What has to be shown to the judge besides question and reply: `source`, `expected`."""
    origin: str = ""
    """The file it was read from, or `shipped`; not part of the hash."""

    @cached_property
    def hash(self) -> str:
        """sha256 over all that changes a verdict; the same rubric in Markdown and in YAML has the same."""
        content = {
            "text": self.text,
            "pass_at": float(self.pass_at),
            "needs": sorted(self.needs),
            "criteria": [
                [one.id, one.text, one.kind, float(one.weight), sorted(one.scale.items()), one.must]
                for one in self.criteria
            ],
        }
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode("ascii")).hexdigest()

    def as_mapping(self) -> dict[str, Any]:
        """As YAML has it, without what is as it is where nothing is said; reading it gives the same hash."""
        said = {
            "name": self.name,
            "title": self.title,
            "text": self.text,
            "pass_at": self.pass_at,
            "needs": sorted(self.needs),
        }
        kept = {key: value for key, value in said.items() if value not in ("", [])}
        return {**kept, "criteria": [one.as_mapping() for one in self.criteria]}
