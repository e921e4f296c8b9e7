"""Validators that no reply can pass together: one wants the expected answer itself, another refuses just that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmbench.validators.declared import Declared
from pytest_llmbench.validators.material import Material


def contradictions(validators: Sequence[Declared], material: Material) -> Iterator[tuple[str, str]]:
    """Name of a validator that refuses the expected answer, and why; none where no other validator demands it.

    Args:
        validators: all of a use case.
        material: of a sample, without a reply.
    """
    if material.expected is None or not any(_demands_truth(each) for each in validators):
        return
    answered = material.with_reply(material.wanted)
    for validator in validators:
        if validator.settles and not _demands_truth(validator):
            found = validator.score(answered)
            if found.passed is False:
                yield validator.name, f"refuses the expected answer itself, which another one demands: {found.reason}"


def _demands_truth(validator: Declared) -> bool:
    plain = isinstance(validator.spec, str) or validator.spec.get(validator.kind.name) is None
    return validator.kind.demands_truth and plain and not validator.inverted and not validator.field
