"""A JSON report that a stranger may have written → a run whose every field has its type; for comments on forks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.reports.json_report import FORMAT, FORMAT_VERSION

MOST_BYTES = 64 * 1024 * 1024
_UNSEEN = ("measurements", "replies", "failed_attempts")
"""Not needed for the verdict and the gates, and most of a report."""


def read(path: Path) -> Run:
    """The run of a JSON report, without measurements and replies; whatever the file holds, nothing of it is run.

    Raises:
        UsageError: it cannot be read, is no report of this version, or a field is not what it should be.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refused(path, f"it is larger than {MOST_BYTES // 1024**2} MiB")
        report = _mapping().validate_json(path.read_bytes())
        if report.get("format") != FORMAT or report.get("format_version") != FORMAT_VERSION:
            raise _refused(path, f"it is no {FORMAT} of version {FORMAT_VERSION}")
        run = _mapping().validate_python(report.get("run"))
        return _run().validate_python({name: run[name] for name in run if name not in _UNSEEN})
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise _refused(path, f"{where}: {first['msg'][:80]}".lstrip(": ")) from error


@cache
def _mapping() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])


@cache
def _run() -> TypeAdapter[Run]:
    return TypeAdapter(Run)


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} cannot be read as a report: {why}", hint="`llmbench report RUN -f json` writes one")
