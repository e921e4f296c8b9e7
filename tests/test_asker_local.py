"""The asker of one process: blocking calls from several threads, over the background loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from asked_models import Provider, number_of, question, questions, refused

from pytest_llmbench import http
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.means import OnText
from pytest_llmbench.asker.question import Asker, Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.clients.wire import Hearing, Thought
from pytest_llmbench.errors import Category, InfraError, UsageError, WireError
from pytest_llmbench.records import Reply


@pytest.fixture
def provider() -> Provider:
    return Provider(latency_s=0.01)


@pytest.fixture
def asker(provider: Provider) -> Iterator[Asker]:
    opened = LocalAsker(provider.means())
    yield opened
    opened.close()


def test_tests_get_what_was_planned_and_what_was_not(asker: Asker, provider: Provider) -> None:
    """Each question is asked once, whoever asks for it first."""
    asker.plan(questions(50))
    replies = [asker.get(asked) for asked in questions(60)]
    assert [reply.text for reply in replies] == [f"answer {number}" for number in range(60)]
    assert set(provider.attempts.values()) == {1}


def test_who_follows_a_question_is_told_once_and_hurries_nothing(asker: Asker, provider: Provider) -> None:
    """The reply, or what stands for it; while asking is paused nothing is asked for it."""
    provider.answer = lambda asked, _attempt: refused(Category.AUTH, 401) if number_of(asked) == 2 else None
    told: SimpleQueue[tuple[int, Reply | BaseException]] = SimpleQueue()
    asker.pause()
    for number in range(3):
        asker.follow(question(number), lambda reply, number=number: told.put((number, reply)))  # type: ignore[misc]
    assert asker.get(question(7)).text == "answer 7"
    assert set(provider.attempts) == {7}
    asker.resume()
    found = dict(told.get(timeout=20) for _ in range(3))
    assert isinstance(failure := found.pop(2), InfraError)
    assert failure.category is Category.AUTH
    assert {number: str(reply) for number, reply in found.items()} == {0: "answer 0", 1: "answer 1"}
    assert asker.get(question(1)).text == "answer 1"
    assert set(provider.attempts.values()) == {1}


def test_each_of_several_has_its_own_outcome_and_none_is_dropped(asker: Asker, provider: Provider) -> None:
    """Two of five fail: the others are answered all the same, in the order of the questions."""
    failing = {1: Category.AUTH, 3: Category.CONTEXT_LENGTH}
    provider.answer = lambda asked, _: refused(failing[n], 401) if (n := number_of(asked)) in failing else None
    outcomes = asker.get_each([question(number) for number in (4, 3, 2, 1, 0)])
    told = [each.text if isinstance(each, Reply) else str(getattr(each, "category", "")) for each in outcomes]
    assert told == ["answer 4", "context_length", "answer 2", "auth", "answer 0"]


def test_what_was_chosen_first_stays(asker: Asker) -> None:
    """By key; whoever comes later is told the earlier choice."""
    assert asker.agree({"a": "one", "b": "two"}) == {"a": "one", "b": "two"}
    assert asker.agree({"b": "three", "c": "four"}) == {"b": "two", "c": "four"}


def test_several_threads_share_one_asker(asker: Asker, provider: Provider) -> None:
    """Eight threads that want the same questions cost one call each."""
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: [reply.text for reply in asker.get_all(questions(30))], range(8)))
    assert told == [[f"answer {number}" for number in range(30)]] * 8
    assert set(provider.attempts.values()) == {1}


def test_the_failure_of_a_question_is_raised_for_that_question_alone(provider: Provider) -> None:
    """The tests of the others get their replies."""
    provider.answer = lambda asked, _attempt: refused(Category.AUTH, 401) if number_of(asked) == 1 else None
    asker = LocalAsker(provider.means())
    asker.plan(questions(3))
    with pytest.raises(InfraError, match="HTTP 401"):
        asker.get(question(1))
    assert asker.get(question(2)).text == "answer 2"
    asker.close()


def test_an_error_is_raised_without_the_way_it_took_through_the_loop(provider: Provider) -> None:
    """Who reads a failed test sees the test; a question asked twice does not grow the traceback."""
    provider.answer = lambda _asked, _attempt: refused(Category.AUTH, 401)
    asker = LocalAsker(provider.means())
    for _ in range(3):
        with pytest.raises(InfraError) as caught:
            asker.get(question(1))
        assert [frame.name for frame in caught.traceback][1:] == ["get", "result"]
    asker.close()


def test_a_window_moves_on_though_the_reply_was_there_already(asker: Asker, provider: Provider) -> None:
    """Fetching what is done lets the next be asked."""
    asker.plan(questions(40), window=2)
    for asked in questions(40):
        asker.get(asked)
        assert max(provider.attempts) <= number_of(asked) + 2
    assert len(provider.attempts) == 40


def test_a_stream_hands_its_pieces_on_and_then_the_stored_reply(asker: Asker) -> None:
    """A second stream of the same question, answered by then, hands on the whole text."""
    streamed = asker.stream(question(1))
    with pytest.raises(UsageError, match="iterated over"):
        _ = streamed.reply
    assert list(streamed) == ["answer", "1"]
    assert streamed.reply.text == "answer 1"
    again = asker.stream(question(1))
    assert list(again) == ["answer 1"]
    assert again.reply is streamed.reply


def test_a_stream_that_breaks_off_is_an_error_at_its_end_and_not_a_short_answer(provider: Provider) -> None:
    """Who only iterates is told as well."""

    async def send(_asked: Question, _on_headers: object, on_text: OnText | None) -> Reply:
        assert on_text is not None
        on_text("half an")
        raise WireError("broke off", category=Category.STREAM_TRUNCATED)

    asker = LocalAsker(provider.means(send=send))
    with pytest.raises(WireError, match="broke off"):
        list(asker.stream(question(1)))
    asker.close()


def test_a_stream_of_which_only_reasoning_came_is_asked_again(provider: Provider) -> None:
    """Reasoning is no answer; a stream that broke off amid its text cannot be begun anew."""
    attempts: list[int] = []

    async def send(asked: Question, _on_headers: object, on_text: OnText | None) -> Reply:
        assert isinstance(on_text, Hearing)
        attempts.append(len(attempts))
        on_text(Thought("hm"))
        if len(attempts) == 1:
            raise WireError("broke off", category=Category.STREAM_TRUNCATED)
        on_text("whole")
        return Reply("whole", asked.target.name)

    asker = LocalAsker(provider.means(send=send))
    pieces = list(asker.stream(question(1)))
    assert pieces == ["hm", "hm", "whole"]
    assert [isinstance(piece, Thought) for piece in pieces] == [True, True, False]
    asker.close()


def test_a_stream_that_cannot_even_be_asked_for_raises_where_it_is_read(
    asker: LocalAsker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for a text that cannot come."""

    def demand(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(asker.dispatcher, "demand", demand)
    with pytest.raises(ZeroDivisionError):
        list(asker.stream(question(1)))


def test_what_comes_back_was_committed_before(provider: Provider) -> None:
    """`get` waits for the store, not only for the provider."""
    commit: Future[Reply] = Future()
    asker = LocalAsker(provider.means(keep=lambda _asked, _reply: commit))
    with ThreadPoolExecutor(1) as threads:
        got = threads.submit(asker.get, question(1))
        with pytest.raises(TimeoutError):
            got.result(timeout=0.2)
        commit.set_result(Reply(text="stored", model="cloud/one", id="7"))
        assert got.result(timeout=30).id == "7"
    asker.close()


def test_a_reply_that_cannot_be_stored_is_an_error_of_its_question(provider: Provider) -> None:
    """A full disk is not a missing answer."""
    full: Future[Reply] = Future()
    full.set_exception(InfraError("the disk is full", category=Category.LOCAL_DISK_FULL))
    asker = LocalAsker(provider.means(keep=lambda _asked, _reply: full))
    with pytest.raises(InfraError, match="the disk is full"):
        asker.get(question(1))
    asker.close()


def test_closing_ends_those_who_wait_and_refuses_those_who_come(provider: Provider) -> None:
    """Nobody waits for a session that has ended; closing twice is all right."""
    provider.latency_s = 600
    asker = LocalAsker(provider.means())
    begun = threading.Event()

    def ask() -> Reply:
        begun.set()
        return asker.get(question(1))

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ask)
        assert begun.wait(30)
        while not provider.under_way:
            pass
        asker.close()
        asker.close()
        with pytest.raises(InfraError, match="cancelled"):
            waiting.result(timeout=30)
    with pytest.raises(InfraError, match="asks no more"):
        asker.get(question(2))


def test_cancelling_waits_until_what_was_complete_is_stored(provider: Provider) -> None:
    """After Ctrl-C no complete reply is on its way any more."""
    stored: list[Question] = []

    def keep(asked: Question, reply: Reply) -> Future[Reply]:
        done: Future[Reply] = Future()
        threading.Timer(0.2, lambda: (stored.append(asked), done.set_result(reply))).start()
        return done

    asker = LocalAsker(provider.means(keep=keep), Rules(max_concurrency=5))
    asker.plan(questions(5))
    while len(provider.log) < 5 or provider.under_way:
        pass
    asker.cancel()
    assert len(stored) == 5
    asker.close()


def test_an_asker_outlived_by_its_loop_says_so(provider: Provider) -> None:
    """Once the background loop was closed, nobody is left waiting."""
    asker = LocalAsker(provider.means())
    http.close()
    with pytest.raises(InfraError, match="asks no more"):
        asker.get(question(1))
    asker.close()


def test_a_concurrency_below_one_is_refused(asker: Asker) -> None:
    """Nothing would ever be asked."""
    with pytest.raises(UsageError, match="at least 1"):
        asker.get_all(questions(2), concurrency=0)


def test_asking_for_nothing_gives_nothing(asker: Asker) -> None:
    """An empty dataset does not wait for ever."""
    assert asker.get_all([]) == []
    asker.plan([])
    assert asker.status().models == ()
