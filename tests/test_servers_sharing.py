"""One supervisor serves all processes of a session: shared servers, memory, turns."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from server_sessions import PATIENCE_S, ServerSession, eventually, interrupted, lives, spec_of

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import engines


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


@pytest.fixture
def cramped(smollm2: ModelFile) -> Iterator[ServerSession]:
    """Memory for one server of this model, not for two."""
    with ServerSession(int(1.5 * engines.need_bytes(spec_of(smollm2), engines.EMBEDDED))) as session:
        yield session


def test_a_claimed_server_answers_as_it_was_specified(session: ServerSession, smollm2: ModelFile) -> None:
    """Context per slot, slots, model and load time are read from the running server."""
    info = session.client().claim([spec_of(smollm2, slots=2)], wait=True)[0]
    assert (info.engine, info.context, info.slots) == ("embedded", 512, 2)
    assert info.model_path == smollm2.path
    assert info.build.startswith("xllamacpp 20")
    assert info.load_s is not None
    assert 0 < info.load_s < PATIENCE_S
    assert eventually(lambda: "model loaded" in Path(info.log_path).read_text())


def test_the_key_guards_the_server_and_stands_in_no_command_line(session: ServerSession, smollm2: ModelFile) -> None:
    """Every process of the machine's users can read a command line."""
    info = session.client().claim([spec_of(smollm2)], wait=True)[0]
    assert info.pid is not None
    assert len(info.api_key.reveal()) >= 32
    assert info.api_key.reveal() not in " ".join(psutil.Process(info.pid).cmdline())
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{info.base_url}/props", timeout=PATIENCE_S)
    refused.value.close()
    assert refused.value.code == 401
    allowed = Request(f"{info.base_url}/props", headers={"Authorization": f"Bearer {info.api_key.reveal()}"})
    with urlopen(allowed, timeout=PATIENCE_S) as answer:
        assert json.load(answer)["total_slots"] == 1


def test_processes_that_want_the_same_server_share_it(session: ServerSession, smollm2: ModelFile) -> None:
    """Two workers, one server, one address, also when both are first."""
    others = [session.other_process(spec_of(smollm2)) for _ in range(2)]
    addresses = {(told["pid"], told["base_url"], told["api_key"]) for told in (o.granted() for o in others)}
    mine = session.client().claim([spec_of(smollm2)], wait=True)[0]
    assert addresses == {(mine.pid, mine.base_url, mine.api_key.reveal())}


def test_other_settings_make_another_server(session: ServerSession, smollm2: ModelFile) -> None:
    """Two contexts are two servers; the same one twice in a claim is one."""
    small, large = spec_of(smollm2), spec_of(smollm2, context=1024)
    infos = session.client().claim([small, large, small], wait=True)
    assert [info.context for info in infos] == [512, 1024, 512]
    assert infos[0].pid == infos[2].pid != infos[1].pid


def test_a_server_is_free_when_it_was_released_as_often_as_claimed(cramped: ServerSession, smollm2: ModelFile) -> None:
    """A model named twice by one test is claimed twice."""
    spec, other = spec_of(smollm2), spec_of(smollm2, context=1024)
    client, rival = cramped.client(), cramped.client()
    client.claim([spec, spec], wait=True)
    client.claim([spec], wait=False)
    client.release([spec, spec])
    with pytest.raises(ServerError, match="would have to wait"):
        rival.claim([other], wait=False)
    client.release([spec])
    assert rival.claim([other], wait=False)[0].context == 1024


def test_a_released_server_stays_loaded_for_the_next_claim(session: ServerSession, smollm2: ModelFile) -> None:
    """Loading again for every test would cost more than the test."""
    client = session.client()
    first = client.claim([spec_of(smollm2)], wait=True)[0]
    client.release([spec_of(smollm2)])
    assert client.claim([spec_of(smollm2)], wait=True)[0].pid == first.pid
    assert client.status(spec_of(smollm2)).starts == 1


def test_an_idle_server_makes_room_and_is_started_again(cramped: ServerSession, smollm2: ModelFile) -> None:
    """What nobody claims is evicted when something else does not fit beside it."""
    small, other = spec_of(smollm2), spec_of(smollm2, context=1024)
    client = cramped.client()
    first = client.claim([small], wait=True)[0]
    client.release([small])
    second = client.claim([other], wait=False)[0]
    assert first.pid is not None
    assert not lives(first.pid)
    assert client.status(small).state == "stopped"
    assert client.status(small).crash is None
    client.release([other])
    assert client.claim([small], wait=False)[0].pid not in {first.pid, second.pid}


def test_what_can_never_fit_is_refused_at_once(cramped: ServerSession, smollm2: ModelFile) -> None:
    """Waiting for memory that the machine does not have would be waiting for ever."""
    both = [spec_of(smollm2), spec_of(smollm2, context=1024)]
    with pytest.raises(ServerError, match="never fits") as refusal:
        cramped.client().claim(both, wait=True)
    assert refusal.value.category is Category.LOCAL_REFUSED


def test_a_claim_that_would_have_to_wait_is_refused_when_it_may_not(cramped: ServerSession, smollm2: ModelFile) -> None:
    """An undeclared server gets an infra error instead of a deadlock."""
    cramped.other_process(spec_of(smollm2)).granted()
    with pytest.raises(ServerError, match="would have to wait") as refusal:
        cramped.client().claim([spec_of(smollm2, context=1024)], wait=False)
    assert refusal.value.category is Category.LOCAL_REFUSED


def test_who_holds_a_server_never_waits_for_another(cramped: ServerSession, smollm2: ModelFile) -> None:
    """Two who hold and wait for each other would wait for ever."""
    client = cramped.client()
    client.claim([spec_of(smollm2)], wait=True)
    with pytest.raises(ServerError, match="would have to wait"):
        client.claim([spec_of(smollm2, context=1024)], wait=True)
    assert client.claim([spec_of(smollm2)], wait=False)[0].slots == 1


def test_a_waiting_claim_is_granted_when_the_holder_is_killed(cramped: ServerSession, smollm2: ModelFile) -> None:
    """A worker that dies gives back what it had."""
    holder = cramped.other_process(spec_of(smollm2))
    holder.granted()
    waiter = cramped.other_process(spec_of(smollm2, context=1024))
    assert waiter.still_waits()
    holder.kill()
    assert waiter.granted()["context"] == 1024


def test_waiting_claims_are_granted_in_the_order_they_came(cramped: ServerSession, smollm2: ModelFile) -> None:
    """Nobody who came later goes first, though the server it wants is loaded."""
    holder, granted = cramped.client(), []
    holder.claim([spec_of(smollm2)], wait=True)

    def claim(context: int) -> None:
        client = cramped.client()
        client.claim([spec_of(smollm2, context=context)], wait=True)
        granted.append(context)
        client.close()

    threads = [threading.Thread(target=claim, args=(context,)) for context in (1024, 512, 1280)]
    for thread in threads:
        thread.start()
        clock.sleep(0.5)
    assert granted == []
    holder.release([spec_of(smollm2)])
    for thread in threads:
        thread.join()
    assert granted == [1024, 512, 1280]


def test_ctrl_c_withdraws_a_waiting_claim(cramped: ServerSession, smollm2: ModelFile) -> None:
    """Who was interrupted is not in the way of those behind."""
    holder, client = cramped.client(), cramped.client()
    holder.claim([spec_of(smollm2)], wait=True)
    with pytest.raises(KeyboardInterrupt), interrupted(0.5):
        client.claim([spec_of(smollm2, context=1024)], wait=True)
    holder.release([spec_of(smollm2)])
    third = spec_of(smollm2, context=1280)
    assert cramped.client().claim([third], wait=True)[0].context == 1280


def test_threads_of_one_process_claim_at_once(session: ServerSession, smollm2: ModelFile) -> None:
    """The asking loop and the test's own thread use one connection."""
    client, pids = session.client(), []

    def claim() -> None:
        pids.append(client.claim([spec_of(smollm2)], wait=True)[0].pid)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_shutdown_stops_servers_that_others_started_and_leaves_no_trace(
    session: ServerSession, smollm2: ModelFile
) -> None:
    """The controller ends all, though it never claimed anything itself; logs stay."""
    told = session.other_process(spec_of(smollm2)).granted()
    supervisor_pid = session.supervisor_pid
    session.watch(supervisor_pid, told["pid"])
    session.client().shutdown()
    assert not lives(told["pid"])
    assert eventually(lambda: not lives(supervisor_pid))
    assert not session.folder.exists()
    assert Path(told["log_path"]).exists()


def test_a_session_that_claims_nothing_starts_nothing(session: ServerSession) -> None:
    """No server, no supervisor, no folder."""
    client = session.client()
    client.release([])
    client.shutdown()
    client.close()
    assert not session.folder.exists()


def test_a_folder_that_others_can_write_to_is_refused(session: ServerSession, smollm2: ModelFile) -> None:
    """The socket hands out keys and starts programs."""
    session.folder.mkdir()
    session.folder.chmod(0o777)
    with pytest.raises(ServerError, match="only this user") as refusal:
        session.client().claim([spec_of(smollm2)], wait=True)
    assert refusal.value.category is Category.LOCAL_SUPERVISOR


def test_a_long_folder_path_does_not_break_the_socket(smollm2: ModelFile) -> None:
    """The kernel takes socket paths of about 100 bytes; pytest's folders are longer."""
    with ServerSession() as session:
        session.folder = session.base / ("long-" * 20) / ("folder-" * 10)
        client = session.client()
        assert client.claim([spec_of(smollm2)], wait=True)[0].slots == 1
        client.shutdown()
        assert not session.folder.exists()
