"""Answers that are broken off: at once, whoever gives them and whoever listens."""

from __future__ import annotations

import pytest
from chat_projects import empty_project, lab
from engine_scripts import script
from served_sessions import session_in, stored
from server_sessions import eventually

from pytest_llmbench import clock
from pytest_llmbench.chat.asking import Asking, Done, Waiting
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.chat.speakers import speaker_of
from pytest_llmbench.chat.speaking import Asked, Manner, ModelSpeaker
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import InfraError
from pytest_llmbench.http import Stop
from pytest_llmbench.serving import local_model

MODEL = "smollm2-135m:Q4_1"
TALK = [{"role": "user", "content": "hi"}]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, and a user who is somebody else."""
    return empty_project(tmp_path, monkeypatch)


@pytest.fixture
def local(project, smollm2):
    """Opens a session whose engine does this when it is started, and then counts from 0 to 39."""

    def opened(before=""):
        return session_in(project, engine="llama-server", llama_server=str(script(project, before=before, serves=True)))

    return opened


def state_of_server(session):
    """Of the model of these tests: `running`, `stopped`, or `unknown`."""
    return session.supervisor.status(local_model(session, MODEL).spec).state


def failures(session):
    """(model, category) of what came to nothing and is stored: whoever asked has ended, and is not just left behind."""
    return [(each.model, each.category) for each in stored(session).failed_attempts]


def test_an_answer_that_nobody_hears_is_stopped_at_once(project):
    """Ctrl-C reaches it, and it is over when the next question is asked: that one is answered."""
    with DemoProvider([Answer("slow", ttft_s=4.5), Answer("quick")]) as provider:
        lab(project, provider)
        with session_in(project) as session:
            speaker = ModelSpeaker(session, "lab/m")
            _ = session.asker
            asking = Asking([speaker], [TALK], Manner(), live=False)
            assert asking.next(0.5) is None
            began = clock.monotonic()
            [done] = asking.stop()
            assert clock.monotonic() - began < 2
            assert done.answer.state is State.CUT
            assert "cancelled" in done.answer.error.message
            done = Asking([speaker], [TALK], Manner(), live=False).next(4)
            assert done.answer.reply.text == "quick"


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_this_machine_that_nobody_hears_is_stopped_at_once(local, project, stream):
    """Whether its pieces go unheard or it comes in one; the server stays, and answers the next question."""
    (project / "hang").touch()
    with local() as session:
        speaker = ModelSpeaker(session, MODEL)
        asking = Asking([speaker], [TALK], Manner(stream=stream), live=False)
        assert asking.next(30) == Waiting(0, f"loading {MODEL}")
        assert eventually(lambda: state_of_server(session) == "running")
        assert asking.next(0.5) is None
        [done] = asking.stop()
        assert done.answer.state is State.CUT
        assert failures(session) == [(MODEL, "cancelled")]
        (project / "hang").unlink()
        done = Asking([speaker], [TALK], Manner(), live=False).next(20)
        assert done.answer.reply.text.startswith("0 1 2 ")
        assert state_of_server(session) == "running"


@pytest.mark.parametrize("live", [True, False])
def test_a_model_that_is_being_loaded_is_not_waited_for(local, live):
    """A large one takes minutes: whoever stops it has its memory back at once."""
    with local("import time; time.sleep(300)") as session:
        asking = Asking([ModelSpeaker(session, MODEL)], [TALK], Manner(), live=live)
        assert asking.next(30) == Waiting(0, f"loading {MODEL}")
        assert asking.next(1) is None
        [done] = asking.stop()
        assert done.answer.state is State.CUT
        assert failures(session) == [(MODEL, "cancelled")]
        assert state_of_server(session) != "running"


def test_a_model_is_not_loaded_where_that_was_stopped_before_its_server_was_asked_for(local, monkeypatch):
    """Ctrl-C while its file is looked at: nothing waits yet that could be withdrawn."""
    with local("import time; time.sleep(300)") as session:
        stop = Stop()
        plain = session.supervisor._order

        def late(*told):
            stop()
            return plain(*told)

        monkeypatch.setattr(session.supervisor, "_order", late)
        began = clock.monotonic()
        with pytest.raises(InfraError, match="stopped before"):
            ModelSpeaker(session, MODEL).answer(Asked(TALK, Manner(), stop, None, lambda _: None))
        assert clock.monotonic() - began < 15
        assert state_of_server(session) != "running"


def test_a_route_that_is_stopped_asks_nobody_else(local, project):
    """Whoever stops an answer does not want that of the next model."""
    (project / "hang").touch()
    with DemoProvider([Answer("unwanted")]) as provider:
        lab(project, provider, routes=f"{{careful: {{models: ['{MODEL}', lab/m]}}}}")
        with local() as session:
            speaker = speaker_of(session, "route/careful")
            _ = session.asker, session.routing.knowledge
            asking = Asking([speaker], [TALK], Manner(), live=True)
            assert asking.next(30) == Waiting(0, f"loading {MODEL}")
            assert eventually(lambda: state_of_server(session) == "running")
            assert asking.next(0.5) is None
            assert [type(event) for event in asking.stop()][-1] is Done
            assert asking.answer(0).state is State.CUT
        assert provider.chats() == []
