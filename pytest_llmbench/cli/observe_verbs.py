"""The verbs that show what happens, and what happened; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.values import above_zero
from pytest_llmbench.cli.verb import JSON, RESULT_SETTINGS, ROOTDIR, Argument, Verb

_SET = {"action": "store_true"}
SLOW_S = 10.0
"""As `observe.log_choice`, which no page of help has to import."""

_METRICS = Verb(
    ("metrics",),
    "print figures of a run for Prometheus, or serve them with --serve, /health beside them; computed from the results "
    "database, while the run goes on and afterwards",
    "metrics:metrics",
    (
        Argument(
            ("run",),
            "its id, the beginning of it, last (whichever that is), or all (default: last)",
            {"metavar": "RUN", "nargs": "?", "default": "last"},
        ),
        Argument(("--chats",), "of `llmbench chat` in place of runs", {"action": "store_true"}),
        Argument(("--serve",), "answer /metrics and /health over HTTP until Ctrl-C", {"action": "store_true"}),
        Argument(
            ("--port",),
            "the port; 0 lets the system choose (default: 9464)",
            {"metavar": "PORT", "type": int},
        ),
        Argument(
            ("--host",),
            "the address to listen at; one of the network only with --token-env (default: 127.0.0.1)",
            {"metavar": "HOST"},
        ),
        Argument(
            ("--token-env",),
            "the variable with a token that callers have to present (Authorization: Bearer TOKEN)",
            {"metavar": "NAME"},
        ),
        Argument(
            ("--allow-host",),
            "another name under which it may be asked; may be given more than once",
            {"metavar": "NAME", "action": "append"},
        ),
        Argument(("--grafana",), "print a board to import into Grafana", {"action": "store_true"}),
        Argument(("--rules",), "print alert rules for Prometheus", {"action": "store_true"}),
        JSON,
        ROOTDIR,
    ),
    RESULT_SETTINGS,
)

_LOG = Verb(
    ("log",),
    "show the calls of a run to models, also while it goes on: how they ended, how long they took, what went wrong",
    "log:show",
    (
        Argument(
            ("run",),
            "its id, the beginning of it, last, a chat by its id or name, or a file of a request log (default: last)",
            {"metavar": "RUN", "nargs": "?", "default": "last"},
        ),
        Argument(("--failed",), "only calls that brought no reply, and notes that tell of trouble", _SET),
        Argument(
            ("--slow",),
            f"only calls that took longer than so many seconds ({SLOW_S:g} where none are given)",
            {"metavar": "SECONDS", "nargs": "?", "type": above_zero, "const": SLOW_S, "default": None},
        ),
        Argument(
            ("--category",),
            "only failures of this kind: rate_limited, timeout.ttft; timeout means all of timeout.*",
            {"metavar": "CATEGORY", "default": ""},
        ),
        Argument(("--model",), "only of models whose name matches this glob", {"metavar": "GLOB", "default": ""}),
        Argument(
            ("--test",),
            "only of tests, samples, use cases or profiles whose name holds this text or matches this glob",
            {"metavar": "TEXT", "default": ""},
        ),
        Argument(("--follow",), "go on with what comes, until the run ends", _SET),
        Argument(("--json",), "print JSON Lines", _SET),
        Argument(("--csv",), "print CSV", _SET),
        Argument(
            ("-o", "--output"),
            "write into this file, JSON Lines where nothing else is said (default: print)",
            {"metavar": "FILE", "default": ""},
        ),
        Argument(("--content",), "with prompts and answers, where they were logged (request_log=content)", _SET),
        ROOTDIR,
    ),
    RESULT_SETTINGS,
)

OBSERVE_VERBS: tuple[Verb, ...] = (_LOG, _METRICS)
