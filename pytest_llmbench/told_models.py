"""Models behind servers of somebody else, as measurements know them: by what the server tells of itself.

Another build of the engine, or another file behind the same name, is another question, and a resume asks it again. What
only one of two tellings has is no difference: of a server that is switched off nothing is known to have changed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmbench.records import Measurement
from pytest_llmbench.serving import ApiModel, ServedModel
from pytest_llmbench.session import Session

if TYPE_CHECKING:
    from pytest_llmbench.backends import Backend
    from pytest_llmbench.bench import Load


def backend_of(session: Session, model: ServedModel) -> Backend | None:
    """What a server that is not ours is asked beside a measurement; None for one of ours."""
    if not isinstance(model, ApiModel):
        return None
    from pytest_llmbench.backends import backend_at  # noqa: PLC0415 - only servers of others need it

    usual = session.deadlines
    may_load = dataclasses.replace(usual, total_s=max(usual.total_s, session.settings.load_timeout_s))
    return backend_at(model.endpoint(), may_load, model.target.server_kind)


def as_told(model: ServedModel) -> ServedModel:
    """The model known by what its server tells of itself; one of ours as it is. Nothing is loaded for that."""
    if not isinstance(model, ApiModel):
        return model
    from pytest_llmbench.backends import Backend, backend_at  # noqa: PLC0415 - only servers of others need it
    from pytest_llmbench.backends.kinds import PROBE  # noqa: PLC0415 - as above

    backend = backend_at(model.endpoint(), PROBE, model.target.server_kind)
    return model.known_by(backend.identity(), "" if type(backend) is Backend else backend.KIND)


def as_before(model: ServedModel, before: Measurement) -> ServedModel:
    """The model known by what its server told when it was measured, where nothing of that is another now."""
    from pytest_llmbench.backends.sameness import IDENTITY, changes, told_before  # noqa: PLC0415 - as above

    if not isinstance(model, ApiModel) or changes(told_before(before), model.told):
        return model
    subject = before.settings.get("subject") or {}
    return model.known_by({name: value for name, value in subject.items() if name in IDENTITY})


def as_in_this_run(session: Session, model: ServedModel, profile: str, load: Load, owner: str) -> ServedModel:
    """On a resume the model as this run has measured it, where that is still the same question; else as it is.

    Args:
        session: this process's.
        model: as `as_told`.
        profile: what it is measured with.
        load: of the profile.
        owner: see `bench.measurement_key`.
    """
    if not session.identity.resuming or not isinstance(model, ApiModel):
        return model
    from pytest_llmbench.bench import measurement_key  # noqa: PLC0415 - slow to import, and most tests measure nothing

    for before in reversed(session.store.load_run(session.run_id).measurements):
        if (before.model, before.profile) == (model.name, profile):
            known = as_before(model, before)
            if measurement_key(known, profile, load.settings(), session.host.fingerprint, owner) == before.key:
                if said := unknown(model, before):
                    session.say(said)
                return known
    return model


def unknown(model: ServedModel, before: Measurement) -> str:
    """That nobody can know whether a server is what it was; empty where it tells enough, or is ours.

    Args:
        model: as `as_told`.
        before: what was measured of it.
    """
    from pytest_llmbench.backends.sameness import can_tell, told_before  # noqa: PLC0415 - only servers of others need it

    if not isinstance(model, ApiModel) or can_tell(told_before(before), model.told):
        return ""
    return (
        f"{model.name} is taken as it was measured: its server tells neither its version nor the model's file, so "
        "nobody knows whether they are what they were"
    )
