"""`llmbench rejudge`: `llmbench run`, whose models under test are asked nothing."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmbench.cli import run
from pytest_llmbench.errors import UsageError
from pytest_llmbench.options import BY_NAME


def rejudge(words: Sequence[str]) -> int:
    """Run pytest in this process, on the replies of the run that is named first; returns its exit status.

    Raises:
        UsageError: no run is named.
    """
    if not words or words[0].startswith("-"):
        raise UsageError(
            "`llmbench rejudge` wants to know which run's replies, first of all",
            hint="`llmbench rejudge last`; `llmbench runs list` shows all",
        )
    return run.run([f"{BY_NAME['rejudge'].flag}={words[0]}", *words[1:]])
