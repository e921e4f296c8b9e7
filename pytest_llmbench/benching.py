"""Measures a model for the test that asks: the profile, its load, the server fitted to it, under the machine lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_llmbench.errors import NotAskedError, UsageError, did_you_mean
from pytest_llmbench.providers.costs import call_cost
from pytest_llmbench.records import Cost, Measurement, Reply
from pytest_llmbench.records.asked import UNPRICED
from pytest_llmbench.serving import ApiModel, ServedModel, open_model
from pytest_llmbench.session import Session
from pytest_llmbench.told_models import as_in_this_run, as_told, backend_of

if TYPE_CHECKING:
    from pytest_llmbench.bench import Load, Profile


def run_bench(
    session: Session,
    model: ServedModel | str,
    profile: str,
    choices: Mapping[str, Any],
    *,
    demo: bool | None = None,
) -> Measurement:
    """Measure under the machine lock that the test holds; what is not chosen comes from the settings.

    Args:
        session: this process's.
        model: what is measured; a model's name will do.
        profile: how.
        choices: fields of the profile's load.
        demo: whether the profile's demo form gives the sizes; None as the settings say.

    Raises:
        UsageError: no such profile, a choice that cannot be, or the test does not have the machine.
    """
    _refuse_unmeasurable(session)
    load = load_of(session, profile, choices, demo=demo)
    if isinstance(model, str):
        model = open_model(session, model)
    refuse_beside_a_budget(session, model)
    owner = session.measurement_owner()
    model = as_in_this_run(session, as_told(model), profile, load, owner)
    with fitted(model, profile, load) as subject:
        measured = measured_with(session, subject, profile, load, owner=owner)
    if session.context is not None:
        session.context.measurement_ids.append(measured.id)
    return measured


def load_of(session: Session, profile: str, choices: Mapping[str, Any], *, demo: bool | None = None) -> Load:
    """What a profile sends, by the settings and these choices; arguments as for `run_bench`.

    Raises:
        UsageError: no such profile, or a choice that cannot be.
    """
    from pytest_llmbench.profiles import PROFILES  # noqa: PLC0415 - slow to import, and most tests measure nothing

    if profile not in PROFILES:
        raise UsageError(
            f"no profile {profile!r}{did_you_mean(profile, PROFILES)}", hint=f"profiles: {', '.join(PROFILES)}"
        )
    chosen = PROFILES[profile]
    return chosen.planned({**_defaults(session, profile, demo), **chosen.given(choices)})


def measured_with(
    session: Session,
    subject: ServedModel,
    profile: str,
    load: Load,
    *,
    owner: str,
    adapt: Callable[[Profile], Profile] = lambda profile: profile,
) -> Measurement:
    """Measure a model as it is served.

    Args:
        session: this process's.
        subject: what is measured, as `fitted` gives it.
        profile: how.
        load: its choices, see `load_of`.
        owner: see `bench.measurement_key`.
        adapt: changes how the profile drives, and nothing that it is known by.

    Raises:
        InfraError: the server failed, or the measurement is not valid.
    """
    from pytest_llmbench.bench import measure  # noqa: PLC0415 - slow to import, and most tests measure nothing
    from pytest_llmbench.profiles import PROFILES  # noqa: PLC0415 - as above
    from pytest_llmbench.profiles.grading import graded  # noqa: PLC0415 - as above

    return measure(
        subject,
        adapt(PROFILES[profile]),
        load,
        session.book,
        grade=partial(graded, rules=session.config),
        client_error=lambda: session.client_error,
        anchor_s=lambda: session.anchor_s,
        owner=owner,
        backend=backend_of(session, subject),
        cost_of=cost_of(subject),
    )


def cost_of(subject: ServedModel) -> Callable[[Reply], Cost]:
    """What tells the cost of a reply of a model that is measured: those do not come by way of the asker."""
    return lambda reply: call_cost(subject.target, reply.usage) if isinstance(subject, ApiModel) else UNPRICED


def _refuse_unmeasurable(session: Session) -> None:
    if session.rejudges:
        raise NotAskedError("not measured: a run that takes its replies from another measures nothing")
    if not session.asking().exclusive:
        raise UsageError(
            "`bench` was asked for without the machine",
            hint="name `bench` in the test's or fixture's arguments, or mark the test with pytest.mark.exclusive",
        )


def refuse_beside_a_budget(session: Session, model: ServedModel) -> None:
    """Measurements of speed do not go through the asker, which alone counts what calls cost.

    Raises:
        UsageError: the model may cost money, and there is a budget.
    """
    if not isinstance(model, ApiModel) or (model.target.is_local and not model.target.price.known):
        return
    from pytest_llmbench.asker.opening import budget_of  # noqa: PLC0415 - xdist's workers ask through another process

    if budget_of(session.resolved, session.store, session.run_id) is not None:
        raise UsageError(
            f"`bench` cannot keep to a budget, and {model.name} may cost money",
            hint="measure it in a run without --max-cost and `budget:`",
        )


@contextmanager
def fitted(model: ServedModel, profile: str, load: Load) -> Iterator[ServedModel]:
    """The model as a load needs it. Where that is another server, one makes room for the other before and after."""
    fit = fitting(model, profile, load)
    if fit is model:
        yield model
        return
    model.let_go()
    try:
        yield fit
    finally:
        fit.let_go()


def fitting(model: ServedModel, profile: str, load: Load) -> ServedModel:
    """As `fitted`, where nothing is served yet: what would be asked for."""
    from pytest_llmbench.profiles import PROFILES  # noqa: PLC0415 - slow to import, and most tests measure nothing

    return model.fit_for(PROFILES[profile].needs(load))


def _defaults(session: Session, profile: str, demo: bool | None) -> dict[str, Any]:
    """What the settings say of this profile's load."""
    from pytest_llmbench.profiles.demo_form import DEMO  # noqa: PLC0415 - only measurements need it

    settings = session.settings
    own = {"rounds": settings.rounds, "output_tokens": settings.output_tokens} if profile == "interactive" else {}
    return {**own, **(DEMO[profile] if (settings.demo_form if demo is None else demo) else {})}
