"""A measurement that begins: what makes it the same question as another one, and what is stored of it at first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from pytest_llmbench.bench.planned import Load
from pytest_llmbench.bench.profile import Profile
from pytest_llmbench.bench.subject import Book, Subject
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Measurement


def measurement_key(
    subject: Subject, profile: str, settings: Mapping[str, Any], host_fingerprint: str, owner: str
) -> str:
    """Hash of everything that makes two measurements the same question.

    Args:
        subject: the model, with its file's hash and its server's settings.
        profile: the profile's name.
        settings: the load.
        host_fingerprint: the machine.
        owner: empty for a fixture shared by several tests; else the test that asked, so that a test which measures
            twice gets two measurements.
    """
    question = {
        "subject": subject.identity(),
        "profile": profile,
        "settings": settings,
        "host": host_fingerprint,
        "owner": owner,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def header(subject: Subject, profile: str, load: Load, book: Book, key: str) -> Measurement:
    """A measurement that begins now, without repetitions; arguments as for `measure` and `measurement_key`."""
    begun = Measurement(
        id=secrets.token_hex(8),
        key=key,
        model=subject.name,
        profile=profile,
        settings={**_shown(load, book), "subject": dict(subject.identity())},
        host_fingerprint=book.host_fingerprint,
        repetitions=(),
        units={name: metric.unit for name, metric in METRICS.items()},
    )
    if book.resuming:
        begun = dataclasses.replace(begun, notes=_why_again(begun, book))
    return begun


def begun_again(interrupted: Measurement, profile: Profile, book: Book) -> Measurement:
    """What an interrupted measurement goes on from.

    Args:
        interrupted: as it is stored.
        profile: goes on behind the last repetition, or begins anew.
        book: where.
    """
    if profile.resumable or not interrupted.repetitions:
        return interrupted
    book.store.supersede(interrupted.id)
    note = f"begun anew: {len(interrupted.counted)} repetitions from before an interruption are set aside"
    stored = book.store.find_measurement(book.run_id, interrupted.key)
    assert stored is not None, "its repetitions were set aside a moment ago"
    return dataclasses.replace(stored[0], notes=(*interrupted.notes, note))


def _shown(load: Load, book: Book) -> dict[str, Any]:
    """The load as it is stored: users' texts as their hashes where they are not kept."""
    settings = load.settings()
    if book.keep_prompts:
        return settings
    return {name: _hashed(value) if name in load.texts else value for name, value in settings.items()}


def _hashed(value: Any) -> Any:
    if isinstance(value, list):
        return [_hashed(each) for each in value]
    return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else value


def _why_again(new: Measurement, book: Book) -> tuple[str, ...]:
    """On a resume, what differs from the last measurement of this model with this profile."""
    earlier = [
        m for m in book.store.load_run(book.run_id).measurements if (m.model, m.profile) == (new.model, new.profile)
    ]
    if not earlier:
        return ()
    old, now = _flat(earlier[-1].settings), _flat(new.settings)
    changed = [f"{name}: {old.get(name)} → {now.get(name)}" for name in now if old.get(name) != now.get(name)]
    return (
        (f"measured on resume; what this run had of this model differs: {'; '.join(changed)}"[:500],) if changed else ()
    )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, **settings.get("subject", {}), "subject": None}
