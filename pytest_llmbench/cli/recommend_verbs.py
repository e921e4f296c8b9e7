"""The verb of advice; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.values import above_zero, memory_size
from pytest_llmbench.cli.verb import JSON, RESULT_SETTINGS, ROOTDIR, Argument, Verb

RECOMMEND_VERBS: tuple[Verb, ...] = (
    Verb(
        ("recommend",),
        "tell which of the measured models to run here, for which use, and why; reads a stored run and nothing else",
        "recommend:recommend",
        (
            Argument(
                ("run",),
                "its id, the beginning of it, or last (default: last)",
                {"metavar": "RUN", "nargs": "?", "default": "last"},
            ),
            Argument(
                ("--use",),
                "only for this: chat, long-documents, batch, quality, unattended",
                {"metavar": "USE", "default": ""},
            ),
            Argument(
                ("--max-memory",),
                "what the server may take at its peak: 8GiB, 512MiB, 8GB",
                {"metavar": "SIZE", "type": memory_size},
            ),
            Argument(
                ("--max-vram",),
                "what may lie on graphics cards at its peak; --max-memory counts main memory alone",
                {"metavar": "SIZE", "type": memory_size},
            ),
            Argument(
                ("--min-tps",),
                "tokens per second that have to be written",
                {"metavar": "N", "type": above_zero},
            ),
            JSON,
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
)
