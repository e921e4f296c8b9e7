"""The verbs of the response cache; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.verb import JSON, RESULT_SETTINGS, ROOTDIR, YES, Verb

CACHE_VERBS: tuple[Verb, ...] = (
    Verb(
        ("cache", "stats"),
        "print what lies in the response cache, and how often it had what was looked up",
        "cache:stats",
        (JSON, ROOTDIR),
        RESULT_SETTINGS,
    ),
    Verb(
        ("cache", "prune"),
        "remove replies that are too old from the response cache, and as many as it takes for its size",
        "cache:prune",
        (JSON, ROOTDIR),
        RESULT_SETTINGS,
    ),
    Verb(("cache", "clear"), "remove every cached reply", "cache:clear", (YES, ROOTDIR), RESULT_SETTINGS),
)
