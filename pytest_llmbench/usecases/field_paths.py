"""Fields that a `json-fields` names and no expected answer has: a typing error there would switch a comparison off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmbench.validators.declared import Declared
from pytest_llmbench.validators.json_fields import Fields
from pytest_llmbench.validators.json_reply import NotThereError
from pytest_llmbench.validators.material import Material


class FieldPaths:
    """Looks at one expected answer after the other, and keeps the paths of their fields.

    Args:
        validators: all of a use case.
    """

    def __init__(self, validators: Sequence[Declared]) -> None:
        self._validators = validators
        self._seen: dict[str, tuple[Fields, set[str]]] = {}
        """Name of each validator that compares fields → it, and the paths that it met."""

    def look_at(self, material: Material) -> None:
        """Take the fields of a sample's expected answer."""
        for each in self._validators:
            self._look(each, material, each.name)

    def _look(self, declared: Declared, material: Material, name: str) -> None:
        try:
            truth = declared.narrowed_truth(material)
        except (NotThereError, ValueError):
            return  # its defects tell
        if isinstance(declared.scorer, Fields):
            self._seen.setdefault(name, (declared.scorer, set()))[1].update(declared.scorer.paths_in(truth))
        for part in getattr(declared.scorer, "parts", ()):
            self._look(part, truth, f"{name}: {part.name}")

    def unmatched(self) -> Iterator[tuple[str, str, str]]:
        """Name of the validator, path, and what is to be said of it."""
        for name, (fields, seen) in self._seen.items():
            yield from ((name, path, text) for path, text in fields.unmatched(seen))
