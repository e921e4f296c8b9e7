"""What a throughput floor is held against: an aiohttp loop that asks and keeps nothing; prints its seconds.

python benchmarks/load/bare.py URL --requests 5000 --in-flight 100
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator

import aiohttp


async def ask_all(url: str, requests: int, in_flight: int) -> None:
    """All requests, `in_flight` at once, on kept connections."""
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def user(mine: Iterator[int]) -> None:
            for number in mine:
                messages = [{"role": "user", "content": f"Question {number}: what is the capital of France?"}]
                asked = {"model": "load", "messages": messages}
                async with session.post(f"{url}/v1/chat/completions", json=asked) as response:
                    reply = await response.json()
                    assert reply["choices"][0]["message"]["content"]

        await asyncio.gather(*(user(numbers) for _ in range(in_flight)))


def main() -> None:
    """Ask and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=100)
    options = parser.parse_args()
    begun_at = time.perf_counter()
    asyncio.run(ask_all(options.url, options.requests, options.in_flight))
    sys.stdout.write(f"{time.perf_counter() - begun_at:.3f}\n")


if __name__ == "__main__":
    main()
