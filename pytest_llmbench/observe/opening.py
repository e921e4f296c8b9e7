"""Who looks on in one process of a run, as the settings say."""

# ruff: noqa: PLC0415 - what is not asked for is not imported

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.observer import Observer, Observers


def opened(resolved: Resolved, run_id: str, process: str, tell: Callable[[str], None]) -> Observer | None:
    """Everybody who is to look on.

    Args:
        resolved: settings and configuration.
        run_id: the run.
        process: which of its processes this is: `main`, `gw0`, `asker`, `chat`.
        tell: told in a sentence what cannot be written any more; in whatever thread that comes up.

    Returns:
        None where nobody is.

    Raises:
        UsageError: the settings contradict each other, or what traces need is not installed.
    """
    settings = resolved.settings
    if settings.request_log == "off" and settings.log_console != "off":
        raise UsageError(
            "log_console shows what the request log is told, and request_log=off says that there is none",
            hint="request_log=calls, or log_console=off",
        )
    found: list[Observer] = []
    if settings.request_log != "off":
        from pytest_llmbench.observe.request_log import opened_log

        found.append(opened_log(resolved, run_id, process, tell))
    if settings.traces:
        from pytest_llmbench.observe.traces import opened_traces

        if (tracer := opened_traces(resolved, run_id, process, tell)) is not None:
            found.append(tracer)
    return Observers(found, tell) if found else None


@contextmanager
def looking_on(resolved: Resolved, run_id: str, process: str, tell: Callable[[str], None]) -> Iterator[Observer | None]:
    """As `opened`; closed with the block."""
    observer = opened(resolved, run_id, process, tell)
    try:
        yield observer
    finally:
        if observer is not None:
            observer.close()
