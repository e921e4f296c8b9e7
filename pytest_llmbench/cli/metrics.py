"""`llmbench metrics`: figures of runs for Prometheus, computed from the results database when they are asked for."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from pytest_llmbench.chat import kept
from pytest_llmbench.cli import project, screen
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.observe.exposition import Figures, exposed, listed
from pytest_llmbench.observe.serve import MetricsServer
from pytest_llmbench.observe.watching import Onlooker, View, Watched
from pytest_llmbench.secret import Secret

DATA = Path(__file__).parents[1] / "data"
BOARD = DATA / "grafana-board.json"
RULES = DATA / "prometheus-rules.yaml"
_LAST_PORT = 65_535
_TOKEN_LENGTH = 16
_HOST, _PORT = "127.0.0.1", 9464


def metrics(arguments: argparse.Namespace) -> int:
    """Print the figures, serve them, or print what belongs beside them.

    Raises:
        UsageError: there is no such run, or nothing can be served so.
    """
    _check(arguments)
    for wanted, path in ((arguments.grafana, BOARD), (arguments.rules, RULES)):
        if wanted:
            print(path.read_text(encoding="utf-8"), end="")
            return ExitCode.OK
    with closing(Onlooker(_watched(arguments))) as onlooker:
        if arguments.serve:
            return _serve(arguments, onlooker)
        view = onlooker.look()
    if arguments.json:
        screen.show_json(_as_json(view))
    else:
        print(exposed(view.figures), end="")
    return ExitCode.OK


def _check(arguments: argparse.Namespace) -> None:
    """Refuse flags that would do nothing.

    Raises:
        UsageError: two of them want different things, or one is of no use without another.
    """
    forms = [flag for flag in ("--serve", "--json", "--grafana", "--rules") if _is_given(arguments, flag)]
    if len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)} are different things", hint="give one of them")
    if arguments.chats and forms and forms[0] in {"--grafana", "--rules"}:
        raise UsageError(f"{forms[0]} is the same for runs and chats", hint="leave --chats out")
    idle = [flag for flag in ("--host", "--port", "--token-env", "--allow-host") if _is_given(arguments, flag)]
    if idle and not arguments.serve:
        raise UsageError(f"{idle[0]} says how to serve, and nothing is served", hint="--serve does, or leave it out")


def _is_given(arguments: argparse.Namespace, flag: str) -> bool:
    value = getattr(arguments, flag.removeprefix("--").replace("-", "_"))
    return value is not None and value is not False


def _watched(arguments: argparse.Namespace) -> Watched:
    resolved = project.resolved(arguments)
    database = resolved.results_dir / (kept.DATABASE if arguments.chats else "results.db")
    return Watched(database, arguments.run, resolved.config.alerts)


def _serve(arguments: argparse.Namespace, onlooker: Onlooker) -> int:
    port = _PORT if arguments.port is None else arguments.port
    if not 0 <= port <= _LAST_PORT:
        raise UsageError(f"--port: {port} is no port", hint=f"ports are 1 to {_LAST_PORT}; 0 lets the system choose")
    token = None if arguments.token_env is None else _token(arguments.token_env)
    onlooker.look()  # what is stored already is read before the first one asks
    with MetricsServer(
        onlooker, arguments.host or _HOST, port, token=token, names=tuple(arguments.allow_host or ())
    ) as server:
        screen.show_line(f"{server.url}/metrics and /health; Ctrl-C ends it")
        server.serve_forever()
    return ExitCode.OK


def _token(variable: str) -> Secret:
    if not (value := os.environ.get(variable, "").strip()):
        raise UsageError(f"--token-env: ${variable} is not set", hint="export a long random text under that name")
    if len(value) < _TOKEN_LENGTH:
        raise UsageError(
            f"--token-env: ${variable} holds {len(value)} characters, which others could guess",
            hint=f"it takes {_TOKEN_LENGTH} at least: `openssl rand -hex 16` makes one",
        )
    return Secret(value)


def _as_json(view: View) -> dict[str, Any]:
    return {"health": view.health.as_dict(), "metrics": _rows(view.figures)}


def _rows(figures: Figures) -> list[dict[str, Any]]:
    return [{"name": name, "labels": labels, "value": float(value)} for name, labels, value in listed(figures)]
