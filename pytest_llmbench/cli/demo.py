"""`llmbench demo-server`: the demo provider, for whoever has no key yet and for whoever wants to see faults."""

from __future__ import annotations

import argparse
from typing import Any

from pytest_llmbench.cli import screen
from pytest_llmbench.cli.demo_flags import TRAITS
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.demo.process import Serving, run
from pytest_llmbench.demo.rate_limit import RateLimit
from pytest_llmbench.demo.site import Site
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Limits

_LAST_PORT = 65_535


def serve(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        UsageError: a trait has a value that it cannot have, the port is none, or the address cannot be listened at.
    """
    if not 0 <= arguments.port <= _LAST_PORT:
        raise UsageError(
            f"--port: {arguments.port} is no port", hint=f"ports are 1 to {_LAST_PORT}; 0 lets the system choose"
        )
    limits = Limits(arguments.rpm, arguments.tpm, arguments.concurrency)
    limit = RateLimit(limits, arguments.burst_s) if limits != Limits() else None
    site = Site(traits=_traits(arguments), limit=limit, batch_s=arguments.batch_s, log_size=arguments.log_size)
    serving = Serving(host=arguments.host, port=arguments.port, for_s=arguments.for_s)
    try:
        run(site, serving, _tell)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {arguments.host}:{arguments.port}: {error.strerror or error}",
            hint="--port 0 lets the system choose a free port",
        ) from error
    return 0


def _traits(arguments: argparse.Namespace) -> dict[str, Any]:
    names = [flags[0].removeprefix("--").replace("-", "_") for flags, *_ in TRAITS]
    told = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in told.items() if value is not None}


def _tell(url: str) -> None:
    screen.show_line(url)
    screen.show_line(f"OpenAI clients: base URL {url}/v1; Anthropic clients: base URL {url}; any key will do")
    screen.show_line(f"models: {', '.join(PERSONAS)}; log: {url}/demo/log; Ctrl-C ends it")
