"""Run the demo provider by itself: `python -m pytest_llmbench.demo --port 8099`."""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import suppress

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.demo.script import ChatBody, echo


def main() -> None:
    """Serve until interrupted, or for `--for-s` seconds; the address is the first line printed."""
    parser = argparse.ArgumentParser(prog="python -m pytest_llmbench.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--ttft-s", type=float, default=0.0, help="seconds to the first token")
    parser.add_argument("--itl-s", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--tokens", type=int, default=0, help="tokens of every answer; 0 echoes the question")
    parser.add_argument("--for-s", type=float, default=None, help="end by itself after so many seconds")
    parser.add_argument("--service-s", type=float, default=0.0, help="serve one at a time, each this long")
    options = parser.parse_args()

    def script(body: ChatBody) -> Answer:
        text = "token " * options.tokens if options.tokens else echo(body).text
        return Answer(text, ttft_s=options.ttft_s, itl_s=options.itl_s)

    with DemoProvider(script, port=options.port, service_s=options.service_s) as provider:
        sys.stdout.write(provider.url + "\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait(options.for_s)


if __name__ == "__main__":
    main()
