"""The process that asks APIs for all workers of one run.

    python -m pytest_llmbench.asker.process < ORDERS

It belongs to the session, not to the worker that happened to start it, and ends with the controller (the pytest process
that the user started), in whatever way that ends; when it is told to; when its folder is gone, so that nobody can reach
it. What was complete by then is stored. Its orders are a JSON object on the standard input; keys are not among them.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pytest_llmbench import http, redaction
from pytest_llmbench.asker import meeting
from pytest_llmbench.asker.desk import Desk
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.opening import OpenedAsker, open_local
from pytest_llmbench.asker.orders import Orders
from pytest_llmbench.cache.opening import looking_up
from pytest_llmbench.header import new_run
from pytest_llmbench.observe.opening import looking_on
from pytest_llmbench.providers.keys import register_configured
from pytest_llmbench.servers.controller import end_of_session
from pytest_llmbench.servers.logs import bound_own_output
from pytest_llmbench.servers.process import say
from pytest_llmbench.store import Store

Opening = Callable[[Orders], AbstractContextManager[LocalAsker]]


@contextmanager
def open_asker(orders: Orders) -> Iterator[LocalAsker]:
    """What asks, with the results database of the run; both closed with the block."""
    resolved = orders.resolved()
    register_configured(resolved, os.environ)
    with Store.open(resolved.results_dir / "results.db") as store:
        if not orders.resuming:
            store.ensure_run(new_run(orders.run_id, resolved.rootdir, orders.command, orders.settings, orders.known))
        looking = looking_on(resolved, orders.run_id, "asker", say)
        with looking as observer, looking_up(resolved, observer) as cache:
            asking = open_local(
                resolved, store, orders.run_id, resuming=orders.resuming, cache=cache, observer=observer
            )
            with closing(asking):
                yield asking


def serve(orders: Orders, folder: Path, ready: int, opening: Opening) -> None:
    """Serve until the session is over.

    Args:
        orders: what the session told.
        folder: where the address is written; private to this user.
        ready: a descriptor that gets one byte once workers can connect.
        opening: opens what asks.
    """
    meeting.remove_what_others_left(folder)
    token = secrets.token_hex(16)
    redaction.register(token)
    with opening(orders) as asking:
        desk = http.run(_desk(asking, token))
        listener, address = http.run(meeting.listen(folder, desk.line))
        meeting.tell_address(folder, address, token, orders.controller_pid)
        os.write(ready, b"1")
        os.close(ready)
        try:
            say(http.run(end_of_session(desk.over, folder / meeting.ADDRESS_FILE, orders.controller_pid)))
        finally:
            meeting.forget_address(folder)
            http.run(_closed(listener))
            asking.close()
            http.run(desk.hang_up())


async def _desk(asking: LocalAsker, token: str) -> Desk:
    notes = (lambda: asking.notes) if isinstance(asking, OpenedAsker) else tuple
    return Desk(asking.dispatcher, token, notes)


async def _closed(listener: asyncio.Server) -> None:
    listener.close()


def main(opening: Opening = open_asker) -> int:
    """Fork, so that nobody has to wait for this process; the first half returns once the second can be reached."""
    told: dict[str, Any] = json.load(sys.stdin)
    folder, again = Path(told["folder"]), bool(told["again"])
    orders = Orders.from_dict({**told, "resuming": told["resuming"] or again})
    ready, ready_end = os.pipe()
    if os.fork():
        os.close(ready_end)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    redaction.register_environment(os.environ)
    bound_own_output(orders.log_path)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _told_to_end)
    try:
        serve(orders, folder, ready_end, opening)
    finally:
        http.close()
    return 0


def _told_to_end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
