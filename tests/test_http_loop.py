"""The background loop and its sync face."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from pytest_llmbench import http
from pytest_llmbench.errors import Category, InfraError


async def value(result):
    await asyncio.sleep(0)
    return result


async def failure(error):
    raise error


def in_a_process(script: str) -> subprocess.CompletedProcess[str]:
    command, here = [sys.executable, "-W", "error", "-c", script], Path(__file__).parent
    return subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=False)


def test_run_returns_what_the_coroutine_returns():
    """Whatever it is."""
    assert http.run(value(42)) == 42


def test_run_raises_what_the_coroutine_raises():
    """The same object, with its traceback."""
    error = LookupError("no such thing")
    with pytest.raises(LookupError) as caught:
        http.run(failure(error))
    assert caught.value is error


def test_all_threads_share_one_loop():
    """One wire, one thread of its own."""

    async def where():
        return threading.current_thread().name, id(asyncio.get_running_loop())

    found = []
    threads = [threading.Thread(target=lambda: found.append(http.run(where()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0][0] == "llmbench-http"


def test_after_close_the_next_run_starts_anew():
    """What still ran is cancelled, and nothing is left open."""
    running = threading.Event()
    ended = []

    async def endless():
        running.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    def waiting():
        with pytest.raises(CancelledError):
            http.run(endless())

    thread = threading.Thread(target=waiting)
    thread.start()
    assert running.wait(20)
    http.close()
    thread.join(20)
    assert ended == [True]
    assert http.run(value("again")) == "again"


def test_ctrl_c_cancels_the_coroutine_and_leaves_at_once():
    """The waiting test stops, the request is cleaned up, the interpreter exits by itself."""
    done = in_a_process(
        """
import asyncio, signal, threading
from pytest_llmbench import http
from pytest_llmbench.http import loop

loop._CANCEL_GRACE_S = 3600  # waiting for all of it, instead of for the cleaning up, would fail the test

async def endless():
    threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)).start()
    try:
        await asyncio.sleep(3600)
    finally:
        print("cleaned up")

try:
    http.run(endless())
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    assert done.stdout.split("\n")[:2] == ["cleaned up", "interrupted"]
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_gets_a_loop_of_its_own():
    """The parent's thread is not there in the child; both can ask."""
    done = in_a_process(
        """
import os, warnings
from pytest_llmbench import http

async def who():
    return os.getpid()

warnings.simplefilter("ignore", DeprecationWarning)
assert http.run(who()) == os.getpid()
child = os.fork()
assert http.run(who()) == os.getpid()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert done.returncode == 0, done.stderr


def test_the_measuring_path_loads_no_general_http_library():
    """httpx fetches model files; here its share of each measured time would be larger than the network's."""
    done = in_a_process(
        """
import sys
from pytest_llmbench import http
from pytest_llmbench.clients import chat
from pytest_llmbench.demo import DemoProvider
from asking import ask_at

with DemoProvider() as provider:
    assert ask_at(provider).text
assert not {"httpx", "httpcore", "h11", "anyio", "requests", "aiohttp"} & sys.modules.keys()
"""
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("there", [True, False])
def test_uvloop_drives_our_own_loop_only(there):
    """Where it is missing, asyncio's own does; the process's policy stays as it was."""
    if there:
        pytest.importorskip("uvloop")
    done = in_a_process(
        f"""
import asyncio, sys
if not {there}:
    sys.modules["uvloop"] = None
from pytest_llmbench import http

async def module_of_loop():
    return type(asyncio.get_running_loop()).__module__

assert http.run(module_of_loop()).startswith("uvloop") == {there}
assert asyncio.run(module_of_loop()).startswith("asyncio")
"""
    )
    assert done.returncode == 0, done.stderr


def test_results_come_to_the_waiting_thread_as_they_are_handed_over():
    """Not all at once at the end, and in their order; what the work raises comes after the last."""
    went_on = threading.Event()

    async def work(hand_over):
        hand_over(1)
        await asyncio.to_thread(went_on.wait, 10)
        hand_over(2)
        raise LookupError("no third")

    results = http.results(work)
    assert next(results) == 1
    went_on.set()
    assert next(results) == 2
    with pytest.raises(LookupError, match="no third"):
        next(results)


def test_leaving_results_early_cancels_the_work():
    """Its connections are closed before the loop is left."""
    ended = threading.Event()

    async def work(hand_over):
        try:
            hand_over(1)
            await asyncio.sleep(60)
        finally:
            ended.set()

    for result in http.results(work):
        assert result == 1
        break
    assert ended.wait(10)


@pytest.mark.parametrize("early", [True, False])
def test_run_can_be_stopped_from_another_thread(early):
    """As what gives results can; what nobody stops is as it was, though somebody could have."""
    begun, ended, stop = threading.Event(), threading.Event(), http.Stop()

    async def endless():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    if early:
        stop()
    else:
        threading.Thread(target=lambda: begun.wait(20) and stop()).start()
    with pytest.raises(InfraError, match="stopped") as told:
        http.run(endless(), stop)
    assert told.value.category is Category.CANCELLED
    assert early or ended.is_set()
    assert http.run(value(42), http.Stop()) == 42


@pytest.mark.parametrize("early", [True, False])
def test_results_can_be_stopped_from_another_thread(early):
    """Before they began, or amid them; who waits for them is told, and the work is cancelled."""
    ended, stop, seen = threading.Event(), http.Stop(), []

    async def work(hand_over):
        try:
            hand_over(1)
            await asyncio.sleep(60)
        finally:
            ended.set()

    def follow():
        for result in http.results(work, stop):
            seen.append(result)
            threading.Thread(target=stop).start()

    if early:
        stop()
    with pytest.raises(InfraError, match="stopped") as told:
        follow()
    assert told.value.category is Category.CANCELLED
    assert early or (seen == [1] and ended.wait(10))
