"""The verb of routes; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.verb import JSON, RESULT_SETTINGS, ROOTDIR, Argument, Verb

ROUTE_VERBS: tuple[Verb, ...] = (
    Verb(
        ("route",),
        "print which model a route of llmbench.yaml would ask now, and why; nothing is asked",
        "route:route",
        (
            Argument(("name",), "the route (default: all)", {"metavar": "NAME", "nargs": "?", "default": ""}),
            Argument(("--prompt",), "what would be asked", {"metavar": "TEXT", "default": "Hello"}),
            Argument(("--use-case",), "the use case that is judged", {"metavar": "NAME", "default": ""}),
            JSON,
            ROOTDIR,
        ),
        (*RESULT_SETTINGS, "models_dir"),
    ),
)
