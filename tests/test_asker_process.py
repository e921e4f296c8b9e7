"""The asker's process: what workers get from it, and who is turned away."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from remote_askers import PATIENCE_S, Run, question, run_in, soon, two_askers

from pytest_llmbench.asker import reaching
from pytest_llmbench.asker.client_line import ClientLine
from pytest_llmbench.asker.remote import RemoteAsker
from pytest_llmbench.errors import Category, InfraError, OverBudgetError, UsageError, WireError
from pytest_llmbench.servers import supervisor


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose answers are made up, for all tests that leave its process alive."""
    with run_in(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def run(house: Run, request: pytest.FixtureRequest) -> Run:
    """The same, as a test of its own sees it."""
    house.begin(request.node.name)
    return house


@pytest.fixture
def workers(run: Run) -> Iterator[tuple[RemoteAsker, RemoteAsker]]:
    """Two workers of the run."""
    with two_askers(run) as made:
        yield made


def test_a_reply_comes_back_as_it_is_stored(workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """With its id, its cost and its tokens."""
    reply = workers[0].get(question("hello"))
    assert (reply.text, reply.id, reply.cost.usd, reply.usage.completion_tokens) == ("HELLO", "1", "0.5", 2)


def test_workers_share_one_process_and_one_answer(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """The same question of the same test is asked once, whoever wants it."""
    with ThreadPoolExecutor() as pool:
        replies = list(pool.map(lambda asker: asker.get(question("slow one")), workers))
    assert replies[0] == replies[1]
    assert run.asked() == ["slow one"]


def test_a_body_is_sent_by_one_worker_only(
    run: Run, workers: tuple[RemoteAsker, RemoteAsker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers plan the same; the process asks one of them for what it does not know."""
    sent: list[str] = []
    send = RemoteAsker._send
    monkeypatch.setattr(RemoteAsker, "_send", lambda asker, line, keys: (sent.extend(keys), send(asker, line, keys)))
    planned = [question(f"question {number}") for number in range(600)]
    for worker in workers:
        worker.plan(planned)
    assert [workers[number % 2].get(each).text for number, each in enumerate(planned)] == [
        f"QUESTION {number}" for number in range(600)
    ]
    assert sorted(sent) == sorted(each.id for each in planned)
    assert sorted(run.asked()) == sorted(f"question {number}" for number in range(600))


def test_what_is_planned_is_asked_before_anybody_wants_it(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """Asking ahead."""
    workers[0].plan([question("a"), question("b")])
    assert soon(lambda: sorted(run.asked()) == ["a", "b"])


def test_a_window_moves_with_what_is_fetched(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """By whichever worker: with -x no more than the window is spent beyond the last test."""
    planned = [question(f"q{number}") for number in range(20)]
    for worker in workers:
        worker.plan(planned, window=2)
    assert soon(lambda: len(run.asked()) == 2)
    workers[1].get(planned[3])
    assert soon(lambda: set(run.asked()) == {f"q{number}" for number in (0, 1, 3, 4, 5)})
    workers[0].status()
    assert len(run.asked()) == 5


def test_all_at_once_come_in_the_order_of_the_questions(workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """However many there are, and though one stands there twice."""
    questions = [question(f"n{number % 700}") for number in range(701)]
    assert [reply.text for reply in workers[0].get_all(questions)] == [f"N{number % 700}" for number in range(701)]


def test_the_first_failure_of_several_is_raised(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """What was not under way then is not asked any more."""
    questions = [question("broken"), *(question(f"n{number}") for number in range(50))]
    with pytest.raises(WireError, match="it broke"):
        workers[0].get_all(questions, concurrency=1)
    assert len(run.asked()) < 10


def test_errors_arrive_as_they_were_raised(workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """Class, category, status, hint and what had come of the answer."""
    with pytest.raises(WireError) as broken:
        workers[0].get(question("broken"))
    assert (broken.value.category, broken.value.status, broken.value.partial_text) == (
        Category.INVALID_REQUEST,
        400,
        "half",
    )
    with pytest.raises(OverBudgetError, match="too dear") as dear:
        workers[0].get(question("dear"))
    assert dear.value.hint == "allow more"


def test_a_concurrency_below_one_is_refused(workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match="at least 1"):
        workers[0].get_all([question("a")], concurrency=0)


def test_a_stream_hands_its_text_on_as_it_comes(workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """And has the whole reply at its end; what was answered before is one piece."""
    streamed = workers[0].stream(question("pieces of text"))
    with pytest.raises(UsageError, match="iterated"):
        _ = streamed.reply
    assert list(streamed) == ["pieces", "of", "text"]
    assert streamed.reply.text == "PIECES OF TEXT"
    assert list(workers[1].stream(question("pieces of text"))) == ["PIECES OF TEXT"]


def test_a_pause_holds_up_the_others_until_it_ends(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """The worker that paused may ask; another one's question waits, and so does what is planned."""
    measuring, other = workers
    slow = threading.Thread(target=other.get, args=(question("slow start"),))
    slow.start()
    assert soon(lambda: run.asked() == ["slow start"])
    measuring.pause()
    assert other.status().models[0].in_flight == 0
    other.plan([question("planned")])
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.get, question("waits"))
        assert measuring.get(question("own")).text == "OWN"
        assert other.status().paused
        assert not waiting.done()
        assert run.asked() == ["slow start", "own"]
        measuring.resume()
        assert waiting.result(PATIENCE_S).text == "WAITS"
    slow.join()
    assert soon(lambda: "planned" in run.asked())


def test_who_follows_a_question_is_told_when_it_is_answered(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """The reply, or what stands for it; not before the end of a pause."""
    told: SimpleQueue[str] = SimpleQueue()
    workers[1].pause()
    for text in ("followed", "broken followed"):
        workers[0].follow(question(text), lambda reply: told.put(getattr(reply, "text", type(reply).__name__)))
    workers[1].get(question("urgent"))
    assert run.asked() == ["urgent"]
    workers[1].resume()
    assert {told.get(timeout=PATIENCE_S), told.get(timeout=PATIENCE_S)} == {"FOLLOWED", "WireError"}


def test_each_has_its_own_outcome_and_one_choice_holds_for_all_workers(
    workers: tuple[RemoteAsker, RemoteAsker],
) -> None:
    """One of three fails, and the others are answered; whoever chooses later gets what was chosen before."""
    outcomes = workers[0].get_each([question(text) for text in ("one", "broken two", "three")])
    assert [getattr(each, "text", type(each).__name__) for each in outcomes] == ["ONE", "WireError", "THREE"]
    assert workers[0].agree({"matter": "a/x"}) == {"matter": "a/x"}
    assert workers[1].agree({"matter": "b/y", "other": "b/y"}) == {"matter": "a/x", "other": "b/y"}


def test_a_pause_ends_with_its_worker(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """Else all others would wait for ever."""
    workers[0].pause()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(workers[1].get, question("waits"))
        assert soon(lambda: workers[1].status().paused)
        workers[0].close()
        assert waiting.result(PATIENCE_S).text == "WAITS"


def test_bodies_that_a_killed_worker_had_promised_are_asked_of_another(run: Run) -> None:
    """A worker that named its questions and is stopped before it sends them."""
    other = run.asker()
    other.get(question("first"))
    line = reaching.connect(run.folder, lambda _line, _keys: None)
    assert line is not None
    line.tell("plan", keys=[question("late").id], window=None)
    line.result(line.request("ping"))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.get, question("late"))
        other.status()
        assert not waiting.done()
        line.close()
        assert waiting.result(PATIENCE_S).text == "LATE"
    other.close()


def test_cancelling_drops_what_this_worker_wanted(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """And nothing of the others."""
    workers[0].plan([question("a"), question("b"), question("c")], window=1)
    assert soon(lambda: run.asked() == ["a"])
    workers[0].cancel()
    assert workers[1].get(question("d")).text == "D"
    assert run.asked() == ["a", "d"]


def test_the_address_is_for_its_owner_alone(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """It holds the token that lets one in, and no key."""
    workers[0].get(question("a"))
    assert stat.S_IMODE((run.folder / "asker.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(run.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(run.orders.log_path.stat().st_mode) == 0o600


def test_a_wrong_token_is_turned_away(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """Whoever can connect still has to know the token."""
    workers[0].get(question("a"))
    line = ClientLine(supervisor.dial(run.address()["address"]), lambda _line, _keys: None)
    with pytest.raises(InfraError, match="wrong token"):
        line.result(line.request("hello", token="guessed"))
    line.close()


def test_messages_of_strangers_end_their_line_and_nothing_else(
    run: Run, workers: tuple[RemoteAsker, RemoteAsker]
) -> None:
    """Broken JSON, unknown requests, fields of the wrong kind."""
    workers[0].get(question("a"))
    told = run.address()
    hostile = [
        b"no json\n",
        b"[]\n",
        b'{"op": "dance"}\n',
        b'{"op": "plan", "keys": 7}\n',
        b'{"op": "get", "id": 1}\n',
        b'{"op": "get", "id": "x", "key": "k"}\n',
        b'{"op": "questions", "targets": [{}], "questions": [[0, {}]]}\n',
        b'{"op": "resume"}\n',
    ]
    for message in hostile:
        line = ClientLine(supervisor.dial(told["address"]), lambda _line, _keys: None)
        line.result(line.request("hello", token=told["token"]))
        line._line.sendall(message)
        assert line.wait_closed(PATIENCE_S), message
        line.close()
    assert workers[0].get(question("b")).text == "B"
