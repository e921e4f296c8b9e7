"""What profiles drive: one request, several at once, open loops, and what is taken again."""

from __future__ import annotations

from pathlib import Path

import pytest
from served_sessions import session_in, stored
from stands import dirty_for, measured, of_provider, stand_at, stand_of

from pytest_llmbench.bench import Planned
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.records import ModelFile


def plan(count: int, **more: object) -> list[Planned]:
    return [Planned(index, 0, f"prompt {index}", 3, **more) for index in range(count)]  # type: ignore[arg-type]


def bodies(provider: DemoProvider) -> list[dict[str, object]]:
    return [call.body for call in provider.chats()]


def sent_by(folder: Path, each: Planned) -> dict[str, object]:
    """The body that a planned request becomes."""
    with DemoProvider(Answer("one two three")) as provider:
        of_provider(folder, provider.url)
        with session_in(folder) as session, stand_of(session, "lab/m") as stand:
            stand.ask(each)
        return bodies(provider)[0]


def test_a_timed_request_has_a_fresh_prefix_no_cache_and_a_fixed_length(tmp_path: Path) -> None:
    """Two requests of one prompt are two texts; the body pins what the times depend on."""
    first, second = (sent_by(tmp_path, plan(1)[0]) for _ in range(2))
    assert (first["cache_prompt"], first["ignore_eos"], first["max_tokens"]) == (False, True, 3)
    texts = [body["messages"][0]["content"] for body in (first, second)]  # type: ignore[index]
    assert all(text.endswith("] prompt 0") for text in texts)
    assert texts[0] != texts[1]


def test_a_natural_request_is_sent_as_it_is_and_ends_by_itself(tmp_path: Path) -> None:
    """For scoring the text matters: nothing is put before it, and no end is forbidden."""
    body = sent_by(tmp_path, Planned(0, 0, "prompt", 3, fresh=False, natural=True, extra={"n_probs": 1}))
    assert body["messages"] == [{"role": "user", "content": "prompt"}]
    assert "ignore_eos" not in body
    assert body["n_probs"] == 1


def test_a_conversation_is_made_fresh_in_its_first_message(tmp_path: Path) -> None:
    """The rest of it stays as it was given."""
    talk = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."})
    first, last = sent_by(tmp_path, Planned(0, 0, talk, 3))["messages"]  # type: ignore[misc]
    assert first["content"].endswith("] Be brief.")
    assert last == talk[1]


def test_a_prompt_from_a_cache_is_refused_unless_its_time_does_not_matter(tmp_path: Path) -> None:
    """A cache left on makes a prompt's time a fiction: that is no measurement."""
    cached = Answer("one two three", timings={"cache_n": 7, "prompt_n": 1, "prompt_ms": 1.0})
    with stand_at(tmp_path, cached) as stand:
        with pytest.raises(InfraError, match="7 prompt tokens from its cache") as caught:
            stand.ask(plan(1)[0])
        assert caught.value.category is Category.MEASUREMENT_INVALID
        assert stand.ask(plan(1, cached_ok=True)[0]).reply is not None
        with pytest.raises(InfraError, match="from its cache"):
            list(stand.ask_all(plan(2), concurrency=2))


def test_several_at_once_are_under_way_together_and_come_as_they_complete(tmp_path: Path) -> None:
    """Four users: the second request does not wait for the first one's end."""
    slow_first = [Answer("one two three", ttft_s=0.8), Answer("one two three", ttft_s=0.2)]
    with stand_at(tmp_path, slow_first) as stand:
        came = list(stand.ask_all(plan(4), concurrency=4))
    assert {timed.repetition.index for timed in came} == {0, 1, 2, 3}
    begun = [timed.repetition.at_s for timed in came]
    assert came[-1].repetition.metrics["e2e_s"] > 0.75
    assert all(at_s is not None and at_s < 0.7 for at_s in begun)


def test_a_closed_loop_never_has_more_under_way_than_it_has_users(tmp_path: Path) -> None:
    """Each user waits for its answer before it asks again."""
    with DemoProvider(Answer("one two three", ttft_s=0.1)) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session, stand_of(session, "lab/m") as stand:
            list(stand.ask_all(plan(6), concurrency=2))
        calls = provider.chats()
    for third, first in zip(calls[2:], calls, strict=False):
        assert third.received_at >= first.sent[-1].at


def test_a_failure_ends_a_load_unless_failures_are_results(tmp_path: Path) -> None:
    """A tolerant load counts it: no reply, its category, and how long it took."""
    script = [Answer("one two three"), Failure(500, "overloaded")]
    with stand_at(tmp_path, script) as stand, pytest.raises(InfraError, match="overloaded"):
        list(stand.ask_all(plan(4), concurrency=1))
    with stand_at(tmp_path, script) as stand:
        came = list(stand.ask_all(plan(3), concurrency=1, tolerant=True))
    assert [timed.reply is None for timed in came] == [False, True, True]
    assert came[1].repetition.labels["error"] == str(Category.SERVER)
    assert came[1].repetition.metrics == {}


def test_an_open_loop_sends_when_a_request_is_due_whatever_became_of_the_others(tmp_path: Path) -> None:
    """Five requests, one each 50 ms, each answered after 0.5 s: all are under way at once."""
    each = [Planned(n, 0, "prompt", 3, due_s=0.05 * n) for n in range(5)]
    with DemoProvider(Answer("one two three", ttft_s=0.5)) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session, stand_of(session, "lab/m") as stand:
            came = list(stand.ask_open(each))
        calls = provider.chats()
    assert calls[-1].received_at < calls[0].sent[-1].at
    for timed in came:
        metrics = timed.repetition.metrics
        assert metrics["ttft_intended_s"] == pytest.approx(metrics["send_lag_s"] + metrics["ttft_s"])
        assert metrics["send_lag_s"] >= 0


def test_no_request_of_an_open_loop_is_sent_before_it_is_due(tmp_path: Path) -> None:
    """A loop's timers are rounded; latencies that count from the intended start must not come out too short."""
    each = [Planned(n, 0, "prompt", 3, due_s=0.00731 * n) for n in range(150)]
    with stand_at(tmp_path) as stand:
        assert min(timed.repetition.metrics["send_lag_s"] for timed in stand.ask_open(each)) >= 0


def test_a_wait_for_our_own_turn_is_part_of_the_latency(tmp_path: Path) -> None:
    """With one connection at a time the third request is sent after two answers; its intended latency says so."""
    each = [Planned(n, 0, "prompt", 3, due_s=0.0) for n in range(3)]
    with stand_at(tmp_path, Answer("one two three", ttft_s=0.2)) as stand:
        came = sorted(stand.ask_open(each, max_in_flight=1), key=lambda timed: timed.repetition.index)
    last = came[-1].repetition.metrics
    assert last["ttft_s"] < 0.4
    assert last["ttft_intended_s"] >= 0.6


def test_leaving_a_load_early_cancels_what_is_under_way(tmp_path: Path) -> None:
    """A profile that has seen enough leaves its loop; nobody waits for the rest."""
    script = [Answer("one two three"), Answer("one two three", ttft_s=60)]
    with stand_at(tmp_path, script) as stand:
        for timed in stand.ask_all(plan(3), concurrency=3):
            assert timed.repetition.index in {0, 1, 2}
            break
        assert stand.elapsed_s() < 30


def test_a_disturbed_repetition_is_taken_again_and_the_first_one_kept(tmp_path: Path) -> None:
    """Both are stored; series are made of the clean one alone."""
    with DemoProvider(Answer("one two three")) as provider:
        of_provider(tmp_path, provider.url)
        with (
            session_in(tmp_path, retakes="2") as session,
            stand_of(session, "lab/m", window=dirty_for(1)) as stand,
        ):
            clean = stand.ask(plan(1)[0])
            session.store.save_repetition("m1", clean.repetition)
            found = stored(session).measurements[0]
    assert clean.repetition.dirty == ""
    assert [(r.superseded, bool(r.dirty)) for r in found.repetitions] == [(False, False), (True, True)]
    assert found.series("ttft_s").n == 1


def test_taking_again_is_bounded_and_what_stays_disturbed_is_marked(tmp_path: Path) -> None:
    """On a machine that is never quiet each repetition is taken again twice at most, and half as many again in all."""
    with stand_at(tmp_path, window=dirty_for(1000)) as stand:
        timed = [stand.ask(each) for each in plan(10)]
        found = stand._account.book.store.find_measurement(stand._account.book.run_id, "k1")
    assert all(each.repetition.dirty for each in timed)
    assert found is not None
    assert 2 <= len(found[0].repetitions) <= 10


def test_a_request_whose_times_mean_nothing_is_never_marked_as_disturbed(tmp_path: Path) -> None:
    """Right or wrong, an answer is the same whoever used the machine meanwhile."""
    with stand_at(tmp_path, window=dirty_for(1000)) as stand:
        alone = stand.ask(plan(1, cached_ok=True)[0])
        together = list(stand.ask_all(plan(2, cached_ok=True), concurrency=2))
        assert stand.ask(plan(1)[0]).repetition.dirty
    assert {timed.repetition.dirty for timed in (alone, *together)} == {""}


def test_settings_of_somebody_elses_server_cannot_be_chosen(tmp_path: Path) -> None:
    """The message says why; what is known of such a server is nothing."""
    with stand_at(tmp_path) as stand:
        assert (stand.owned, stand.context, stand.slots, stand.threads) == (False, None, None, None)
        assert stand.rss_bytes() is None
        assert stand.api() is None
        with pytest.raises(UsageError, match="served by somebody else: its slots cannot be chosen"):
            stand.served_with(slots=2)


def test_a_model_of_ours_is_served_anew_with_other_settings(tmp_path: Path, smollm2: ModelFile) -> None:
    """Two servers measure in turn; both are in the account, and each is warmed up only when it is started again."""
    with session_in(tmp_path) as session, stand_of(session, smollm2.name) as one:
        two = one.served_with(slots=2)
        assert (one.slots, two.slots, two.context) == (1, 2, one.context)
        for stand in (one, two, one):
            assert stand.ask(Planned(0, 0, "Hello.", 2)).reply is not None
        assert (two.rss_bytes() or 0) > 50 << 20
        assert one._account.notes == []
        assert len(one._account.served_by()["earlier"]) == 1


def test_a_server_that_is_not_asked_any_more_makes_room_for_the_next(tmp_path: Path, smollm2: ModelFile) -> None:
    """Two servers of which only one is claimed at a time fit where both would not."""
    with session_in(tmp_path) as session, stand_of(session, smollm2.name) as one:
        assert session.grants._claimed == [one._subject.spec]  # type: ignore[attr-defined]
        two = one.served_with(slots=2)
        assert session.grants._claimed == [two._subject.spec]  # type: ignore[attr-defined]
        assert one.ask(Planned(0, 0, "Hello.", 2)).reply is not None


def test_the_engines_own_endpoints_count_tokens_as_it_processes_them(tmp_path: Path, smollm2: ModelFile) -> None:
    """Tokens of a conversation, counted by tokenizer and template, are the prompt tokens of its request."""
    with session_in(tmp_path) as session, stand_of(session, smollm2.name) as stand:
        api = stand.api()
        assert api is not None
        assert api.detokenize(api.tokenize("Paris is nice.")).strip() == "Paris is nice."
        messages = ({"role": "user", "content": "Hello there, how are you?"},)
        timed = stand.ask(Planned(0, 0, messages, 2, fresh=False))
        assert timed.repetition.usage.prompt_tokens == api.chat_tokens(messages)
        assert api.props()["total_slots"] == 1
        assert len(api.completion(api.tokenize("Once upon a"), n_predict=1)["content"]) >= 1


def test_what_a_profile_does_not_know_is_refused_with_the_near_name(tmp_path: Path) -> None:
    """Before any server is started."""
    with session_in(tmp_path) as session:
        with pytest.raises(UsageError, match=r"interactive has no choice 'round'; did you mean 'rounds'"):
            measured(session, "smollm2-135m:Q4_1", "interactive", round=3)
        assert not session.has_store


def test_an_interrupted_measurement_that_cannot_be_gone_on_with_begins_anew(tmp_path: Path) -> None:
    """What it had is set aside under indexes of its own, twice over where it is interrupted twice."""
    with stand_at(tmp_path) as stand:
        book = stand._account.book
        for _ in range(2):
            for each in plan(2):
                book.store.save_repetition("m1", stand.ask(each).repetition)
            book.store.supersede("m1")
        found = book.store.find_measurement(book.run_id, "k1")
    assert found is not None
    assert len(found[0].repetitions) == 4
    assert found[0].counted == ()
