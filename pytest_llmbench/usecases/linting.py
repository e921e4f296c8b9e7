"""Ground-truth lint: what is wrong with a use case's expected answers, found before any model is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.usecases.data import Placed
from pytest_llmbench.usecases.field_paths import FieldPaths
from pytest_llmbench.usecases.usecase import UseCase
from pytest_llmbench.validators.contradictions import contradictions
from pytest_llmbench.validators.json_text import truth_of
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.schemas import Schema

_BY_SCHEMA = "json-schema"
"""The validator that knows the schema of the output itself."""
_MOST_FAULTS = 5
"""Of one expected answer against its schema."""

SchemaFaults = Callable[[Any], list[str]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one expected answer, or with the use case as a whole."""

    place: str
    """`file:line`, see `Place.named`."""
    sample: str
    """Its id; empty where it is about none."""
    source: str
    """Who found it: a validator's name, `schema`, `twins` or `page`."""
    text: str

    def __str__(self) -> str:
        of = f" {self.sample}:" if self.sample else ""
        return f"{self.place}:{of} {self.source}: {self.text}"


def lint(case: UseCase, placed: Iterable[Placed] | None = None, *, complete: bool = True) -> Iterator[Problem]:
    """The problems of a use case, in the order of its samples; nothing is asked.

    Args:
        case: the use case.
        placed: those of its samples that are looked at; None: all.
        complete: these are all: what none of them has, no sample has.

    Raises:
        UsageError: a sample cannot be read at all; with file and line.
    """
    if not case.validators and not case.judges:
        told = "there is a rubric and nobody judges by it (judge: MODEL)" if case.rubric else "there is no judge"
        yield Problem(f"{case.page.name}:1", "", "page", f"nothing scores a reply: no validator, and {told}")
    faults_of, twins, paths = _schema_faults(case), _Twins(), FieldPaths(case.validators)
    for one in case.placed() if placed is None else placed:
        expected = one.sample.expected
        for text in faults_of(expected) if expected is not None else ():
            yield _problem(one, "schema", text)
        if text := twins.contradiction(one):
            yield _problem(one, "twins", text)
        material = replace(case.material(one.sample), schema=case.output.truth_schema)
        paths.look_at(material)
        for name, text in _by_validators(case, material):
            yield _problem(one, name, text)
    for name, path, text in paths.unmatched() if complete else ():
        yield Problem(f"{case.page.name}:{_line_of_field(case, path)}", "", name, text)


def _line_of_field(case: UseCase, path: str) -> int:
    """Where a path stands below `fields:` of a validator; the validators' line where it cannot be told."""
    lines = case.page.front.lines if case.page.front else {}
    named = (line for keys, line in lines.items() if keys[0:1] == ("validators",) and keys[-2:] == ("fields", path))
    return next(named, case.page.line(("validators",)))


def _by_validators(case: UseCase, material: Material) -> Iterator[tuple[str, str]]:
    """What validators have against the expected answer: by itself, and as if it were a reply."""
    defects = [(each.name, text) for each in case.validators for text in each.defects(material)]
    yield from defects
    if not _has_the_form_of_a_reply(case.output.kind, material.expected):
        yield from contradictions(case.validators, material)
        return
    told = {name for name, _ in defects}
    answered = material.with_reply(material.wanted)
    for validator in case.validators:
        if validator.settles and validator.name not in told:
            found = validator.score(answered)
            if found.passed is False:
                yield validator.name, f"refuses the expected answer itself: {found.reason}"


def _has_the_form_of_a_reply(kind: str, expected: Any) -> bool:
    """Whether a reply could be just this: of free text nobody can tell, which may be a note on what is right."""
    return (kind == "json" and isinstance(expected, dict | list)) or (kind == "csv" and isinstance(expected, str))


def _problem(one: Placed, source: str, text: str) -> Problem:
    place = one.truth or one.place
    return Problem(place.named(shown(place.file)), one.sample.id, source, text)


def _schema_faults(case: UseCase) -> SchemaFaults:
    """Tells what of an expected answer breaks the schema of the output, where no validator does."""
    schema = case.output.truth_schema
    if schema is None or any(each.kind.name == _BY_SCHEMA for each in case.validators):
        return lambda _expected: []
    written = Schema(json.dumps(schema))
    return lambda expected: written.problems(truth_of(expected), _MOST_FAULTS)


class _Twins:
    """Finds samples that ask the same and expect something else. Keeps hashes, no samples."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[bytes, Place, str]] = {}

    def contradiction(self, one: Placed) -> str:
        """Why this sample and an earlier one cannot both be right; empty where they can."""
        sample = one.sample
        asked = _digest([sample.input, {k: v for k, v in sample.metadata.items() if k != "file"}])
        answer = _digest(sample.expected)
        earlier, place, id_ = self._seen.setdefault(asked, (answer, one.truth or one.place, sample.id))
        if earlier == answer:
            return ""
        return f"{id_} ({place.named(shown(place.file))}) asks the same and expects something else"


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
