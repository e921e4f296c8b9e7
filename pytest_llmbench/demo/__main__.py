"""Run the demo provider by itself: `python -m pytest_llmbench.demo --port 8099`; users have `llmbench demo-server`."""

from __future__ import annotations

import argparse
import sys

from pytest_llmbench.demo.process import Serving, run
from pytest_llmbench.demo.site import Site


def main() -> None:
    """Serve until interrupted, or for `--for-s` seconds; the address is the first line printed."""
    parser = argparse.ArgumentParser(prog="python -m pytest_llmbench.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--ttft-s", type=float, default=0.0, help="seconds to the first token")
    parser.add_argument("--itl-s", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--tokens", type=int, default=0, help="tokens of every answer; 0 leaves it to who answers")
    parser.add_argument("--for-s", type=float, default=None, help="end by itself after so many seconds")
    parser.add_argument("--service-s", type=float, default=0.0, help="serve one at a time, each this long")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the standard input")
    options = parser.parse_args()

    traits = {"latency_s": options.ttft_s, "itl_s": options.itl_s, "tokens": options.tokens}
    told = {name: value for name, value in traits.items() if value}
    site = Site(traits=told, service_s=options.service_s)
    run(site, Serving(port=options.port, for_s=options.for_s, until_stdin_ends=options.until_stdin_ends), _tell)


def _tell(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
