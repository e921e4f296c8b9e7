"""The `llmbench` command: parse the words, import the one verb that is asked for, turn errors into exit codes.

`verbs.py` is the table of all verbs; this package imports nothing but the standard library until a verb runs.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence

from pytest_llmbench.cli.verbs import perform
from pytest_llmbench.errors import ExitCode, LlmbenchError, UsageError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after `llmbench`; the process's own where not given.

    Returns:
        The exit status, see `ExitCode`.
    """
    if argv is None:
        _print_in_any_locale()
    try:
        status = perform(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except LlmbenchError as error:
        return _failed(error)
    except KeyboardInterrupt:
        print("llmbench: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _print_no_more()  # the reader (`head`) has seen enough
        return ExitCode.OK
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _print_no_more()
        return _failed(
            LlmbenchError(f"not all of it could be written: {error.strerror}", hint="make room on that disk")
        )
    return status


def _print_no_more() -> None:
    """Without this Python complains again when it flushes at exit."""
    with contextlib.suppress(io.UnsupportedOperation):  # it is no file: somebody captures it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_in_any_locale() -> None:
    """Escape what the terminal's encoding does not have (`–` in Latin-1), as standard error always does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _failed(error: LlmbenchError) -> int:
    from pytest_llmbench.display import terminal_safe  # noqa: PLC0415  only errors pay for it

    print(f"llmbench: error: {terminal_safe(str(error))}", file=sys.stderr)
    return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.TESTS_FAILED
