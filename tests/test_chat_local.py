"""Chats with a model of this machine: its server, and that it ends with the chat however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from chat_terminals import CTRL_C, CTRL_D, ENTER, Nursery
from served_sessions import session_in
from server_sessions import eventually

from pytest_llmbench import clock
from pytest_llmbench.chat import kept
from pytest_llmbench.chat.asking import Asking, Waiting
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.chat.speaking import Manner, ModelSpeaker
from pytest_llmbench.serving import local_model
from pytest_llmbench.store import Store

pytestmark = pytest.mark.slow
MODEL = "smollm2-135m:Q4_1"
_PATIENCE_S = 20.0


@pytest.fixture
def project(tmp_path, smollm2):
    """An empty project, and a model that is on this disk."""
    return tmp_path


def stored(folder: Path):
    """The newest chat as the database has it."""
    with Store.open(folder / ".llmbench" / kept.DATABASE) as store:
        return store.load_run(kept.LAST)


def servers_of(pid: int) -> list[psutil.Process]:
    """The supervisor of a chat, in whose arguments the folder stands where its processes meet, and its servers."""
    mark = f"llmbench-{os.getuid()}-{pid}-"
    found = [each for each in psutil.process_iter(["cmdline"]) if mark in " ".join(each.info["cmdline"] or ())]
    return [process for supervisor in found for process in (supervisor, *supervisor.children(recursive=True))]


def test_a_local_model_answers_and_its_server_is_gone_afterwards(project):
    """Loaded with a word on it; its tokens are counted by its server."""
    command = [sys.executable, "-m", "pytest_llmbench", "chat", "-m", MODEL, "--max-tokens", "8", "Say hello."]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=project, **pipes) as chat:
        out, err = chat.communicate(timeout=120)
    assert (chat.returncode, bool(out.strip())) == (0, True)
    assert f"loading {MODEL}" in err
    assert "8 tokens" in err
    [reply] = stored(project).replies
    assert (reply.role, reply.usage.completion_tokens) == ("chat", 8)
    assert servers_of(chat.pid) == []


def test_a_local_model_is_stopped_amid_its_answer_and_goes_on(project):
    """The chat and the server stay; a second model stands beside it."""
    with Nursery() as nursery, nursery.terminal(["chat", "-m", MODEL], project) as person:
        person.prompt()
        person.type(f"Write a long story about the sea.{ENTER}")
        person.until(f"loading {MODEL}")
        person.until(" the ")
        person.type(CTRL_C)
        assert "cut; " in person.prompt()
        person.type(f"/model {MODEL},demo/facts{ENTER}")
        person.prompt()
        person.type(f"What is 2 + 3?{ENTER}")
        person.until("demo/facts")
        person.prompt()
        person.type(CTRL_D)
        assert person.end() == 0
    local, demo = kept.find(project / ".llmbench", kept.LAST).conversation.talks
    assert [turn.state for turn in local.turns] == [State.CUT, State.ANSWERED]
    assert demo.turns[-1].text == "5"
    assert [(each.model, each.category) for each in stored(project).failed_attempts] == [(MODEL, "cancelled")]


def test_a_killed_chat_leaves_no_server(project):
    """kill -9: the supervisor sees that the chat is gone, and ends what it started."""
    with Nursery() as nursery, nursery.terminal(["chat", "-m", MODEL], project) as person:
        person.prompt()
        person.type(f"Write a long story about the sea.{ENTER}")
        person.until(f"loading {MODEL}")
        person.until(" the ")
        servers = servers_of(person.pid)
        assert len(servers) >= 2
        os.kill(person.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(servers, _PATIENCE_S)
        assert left == []


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_stops_with_the_answer(project, stream):
    """Whoever waits for it no more leaves no work behind: neither in a stream nor for an answer in one piece."""
    talk = [{"role": "user", "content": "Write a very long story about the sea."}]
    with session_in(project) as session:
        asking = Asking([ModelSpeaker(session, MODEL)], [talk], Manner(stream=stream), live=False)
        assert asking.next(_PATIENCE_S) == Waiting(0, f"loading {MODEL}")
        engine = psutil.Process(local_model(session, MODEL).server().pid)
        assert eventually(lambda: works(engine), _PATIENCE_S)
        [done] = asking.stop()
        assert done.answer.state is State.CUT
        assert eventually(lambda: not works(engine), 2)


def works(process: psutil.Process) -> bool:
    """Whether it computes."""
    before = process.cpu_times()
    clock.sleep(0.2)
    return process.cpu_times().user - before.user > 0.1
