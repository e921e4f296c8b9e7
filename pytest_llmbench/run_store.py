"""The database of one run: made, with the run's header, or opened again where the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_llmbench.config import BUDGET, Resolved
from pytest_llmbench.contexts import Identity
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.header import new_run
from pytest_llmbench.records import Host, Run
from pytest_llmbench.results.noise_floor import shares
from pytest_llmbench.store import Store


def begun(
    path: Path, resolved: Resolved, identity: Identity, host: Callable[[], Host], say: Callable[[str], None]
) -> Store:
    """The database of a run that begins; whoever opens it first writes the run's header.

    Args:
        path: of the database; its folder is made where it is missing.
        resolved: settings and configuration.
        identity: the run.
        host: tells what machine this is.
        say: told what of the measured noise cannot be read.
    """
    store = _opened(path)
    known = {**resolved.told_of_machine, **_noise_floors(path.parent, host(), say)}
    store.ensure_run(new_run(identity.run_id, resolved.rootdir, identity.command, resolved.chosen, known))
    return store


def reopened(path: Path, resolved: Resolved, run_id: str, *, with_cells: bool) -> Store:
    """The database of a run that goes on; what it may spend from now on is told by what is configured now.

    Args:
        path: of the database.
        resolved: settings and configuration.
        run_id: the run.
        with_cells: whether what a matrix skipped for reasons of its time is decided anew: the controller does that.
    """
    from pytest_llmbench.matrix.reasons import LASTING  # noqa: PLC0415 - most runs have no matrix

    store = _opened(path)
    _take_over_caps(store, store.reopen_run(run_id), resolved)
    if with_cells:
        store.reopen_cells(run_id, LASTING)
    return store


def _take_over_caps(store: Store, run: Run, resolved: Resolved) -> None:
    """See that the run's header has the caps that are kept now: those of its first session may be others, or gone."""
    max_cost = resolved.settings.max_cost
    if run.settings.get("max_cost", "") != max_cost:
        store.save_settings(run.id, {**run.settings, "max_cost": max_cost})
    declared = {BUDGET: most} if (most := resolved.told_of_machine.get(BUDGET)) else {}
    kept = {name: value for name, value in run.environment.items() if name != BUDGET} | declared
    if kept != run.environment:
        store.save_environment(run.id, kept)


def _opened(path: Path) -> Store:
    is_new = not path.parent.exists()
    store = Store.open(path)
    if is_new:
        (path.parent / ".gitignore").write_text("*\n")  # results are no part of the project
    return store


def _noise_floors(folder: Path, host: Host, say: Callable[[str], None]) -> dict[str, Any]:
    """By how much measurements differ here without any reason, as far as that was measured."""
    try:
        kept = shares(folder, host)
    except ConfigError as error:
        say(str(error))
        return {}
    return {"noise_floors": kept} if kept else {}
