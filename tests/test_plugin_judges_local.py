"""Judges on this machine: asked after all replies of their samples, and held to the form of a verdict."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from engine_scripts import script
from gguf_samples import LLAMA, gguf
from judge_suites import calls, court, judged_usecase, loud
from suite_runs import stored_run
from usecase_suites import usecase

from pytest_llmbench.demo import Failure
from pytest_llmbench.records import ModelFile

ENGINE = """
import http.server, itertools, json, pathlib, sys

TURNS = itertools.cycle([True, False])
MODEL = pathlib.Path(sys.argv[sys.argv.index("--model") + 1]).stem
LOG = pathlib.Path({log!r})

def note(what):
    with LOG.open("a") as file:
        file.write(MODEL + " " + what + chr(10))

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.tell({{"default_generation_settings": {{"n_ctx": 4096}}, "total_slots": 1, "model_path": "m"}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        judges = asked["messages"][0]["content"].startswith("You judge")
        assert judges == ("response_format" in asked)
        note("judges" if judges else "answers")
        holds = "wavers" not in said or next(TURNS)
        verdict = {{"criteria": {{"rubric": {{"reason": "All of it is in capital letters.", "holds": holds}}}}}}
        text = json.dumps(verdict) if judges else said.upper()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.event({{"choices": [{{"index": 0, "delta": {{"content": text}}, "finish_reason": None}}]}})
        self.event({{"choices": [{{"index": 0, "delta": {{}}, "finish_reason": "stop"}}]}})
        self.event({{"choices": [], "usage": {{"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}}})
        self.wfile.write(b"data: [DONE]" + bytes([10, 10]))

    def event(self, content):
        self.wfile.write(b"data: " + json.dumps(content).encode() + bytes([10, 10]))

    def tell(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

note("loads")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
print(f"main: server is listening on http://127.0.0.1:{{server.server_port}} - starting the main loop", flush=True)
server.serve_forever()
"""
LAST_RESORT = "routes:\n  careful: {models: [lab/j, ./critic.gguf]}\n"
LONER = """
import os, pathlib
from pytest_llmbench.servers import machine

machine.PLACES = (pathlib.Path(__file__).parent / "machine",)
machine.PLACES[0].mkdir(exist_ok=True)
"""


@pytest.fixture
def log(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models of this machine behind scripted servers, and what those note."""
    for name in ("singer", "tenor", "critic"):
        pytester.path.joinpath(f"{name}.gguf").write_bytes(gguf({**LLAMA, "general.name": name}))
    pytester.makeconftest(LONER)
    path = pytester.path / "log"
    (pytester.path / "bin").mkdir()
    binary = script(pytester.path / "bin", before=ENGINE.format(log=str(path)))
    monkeypatch.setenv("LLMBENCH_LLAMA_SERVER", str(binary))
    return path


@pytest.mark.parametrize(("arguments", "each"), [((), 4), (("--llmbench-look-ahead", "2"), 2)])
def test_a_model_of_this_machine_answers_all_before_another_judges(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...], each: int
) -> None:
    """Each is asked for the whole group at once, and every test finds its own in the store."""
    judged_usecase(pytester.path, 4, "models: [./singer.gguf]\njudge: ./critic.gguf")
    result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 0, result.stdout.str()
    asked = [line for line in log.read_text().splitlines() if "loads" not in line]
    assert asked == (["singer answers"] * each + ["critic judges"] * each) * (4 // each)
    run = stored_run(pytester)
    assert {one.outcome for one in run.results} == {"right"}
    roles = {reply.id: reply.role for reply in run.replies}
    assert [[roles[id_] for id_ in one.reply_ids] for one in run.results] == [["subject", "judge"]] * 4


@pytest.mark.slow
def test_a_group_that_was_killed_is_gone_on_with(pytester: pytest.Pytester, log: Path) -> None:
    """Nothing is asked twice on --resume; the roles of replies are kept."""
    judged_usecase(pytester.path, 3, "models: [./singer.gguf]\njudge: ./critic.gguf")
    pytester.makeconftest(
        LONER + "import signal\ndef pytest_runtest_teardown(item):\n"
        "    if 's1' in item.name and not os.environ.get('RESUMED'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert pytester.runpytest_subprocess("shout").ret == -9
    pytester.makeconftest(LONER)
    resumed = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
    assert resumed.ret == 0, resumed.stdout.str()
    asked = [line for line in log.read_text().splitlines() if "loads" not in line]
    assert (asked.count("singer answers"), asked.count("critic judges")) == (3, 3)


@pytest.mark.slow
def test_a_judge_of_this_machine_judges_a_model_behind_an_api(pytester: pytest.Pytester, log: Path) -> None:
    """The test claims its judge's server as it would that of its model."""
    judged_usecase(pytester.path, 2, "judge: ./critic.gguf")
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "-n", "2")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 2}
    assert log.read_text().splitlines() == ["critic loads", "critic judges", "critic judges"]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
@pytest.mark.slow
def test_a_model_of_this_machine_is_judged_anew_without_being_loaded(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """Its file is gone by then: only the judge is loaded and asked; what is new is skipped, and starts nothing."""
    judged_usecase(pytester.path, 2, "models: [./singer.gguf]\njudge: ./critic.gguf")
    assert pytester.runpytest_subprocess("shout").ret == 0
    before = log.read_text().splitlines()
    pytester.path.joinpath("singer.gguf").unlink()
    usecase(pytester.path, 3, "models: [./singer.gguf]\nrubric: The reply is very loud.\njudge: ./critic.gguf")
    result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last", *arguments)
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=2, skipped=1)
    assert log.read_text().splitlines()[len(before) :] == ["critic loads", "critic judges", "critic judges"]
    roles = [reply.role for reply in stored_run(pytester).replies]
    assert (roles.count("subject"), roles.count("judge")) == (2, 2)


TWO_KINDS = """
rubric:
  criteria:
    - {id: loud, text: The reply is loud., scale: {1: it whispers, 3: it is loud}}
    - {id: short, kind: yes-no, text: It is short.}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_verdict_of_a_small_model_under_a_grammar_can_be_used(
    pytester: pytest.Pytester, smollm2: ModelFile
) -> None:
    """SmolLM2 judges: whatever it thinks, each answer is a verdict at once, and its grades are on the scale."""
    usecase(pytester.path, 3, f"{TWO_KINDS}judge: smollm2-135m:Q4_1")
    with court(pytester.path):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    run = stored_run(pytester)
    scores = [each.evaluation.scores[0] for each in run.results if each.evaluation]
    assert [score.state for score in scores] == ["scored"] * 3
    assert not any(score.details.get("retried") for score in scores)
    assert all([part.name for part in score.parts] == ["loud", "short"] for score in scores)
    assert [reply.role for reply in run.replies].count("judge") == 3
    assert smollm2.label in {reply.model for reply in run.replies if reply.role == "judge"}


ROOM_FOR_ONE = """
from pytest_llmbench.servers import engines

engines.need_bytes = lambda *about, **more: 100
engines.free_bytes = lambda: 150
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_machine_with_room_for_one_loads_each_model_once(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """However many processes run the tests: one asks for all of a use case, and the others find their replies."""
    judged_usecase(pytester.path, 4, "models: [./singer.gguf, lab/m, ./tenor.gguf]\nrepeats: 2\njudge: ./critic.gguf")
    pytester.makeconftest(LONER + ROOM_FOR_ONE)
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
        assert calls(lab) == {"m": 8}
    assert result.ret == 0, result.stdout.str()
    subjects = [line for name in ("singer", "tenor") for line in [f"{name} loads", *[f"{name} answers"] * 8]]
    assert log.read_text().splitlines() == [*subjects, "critic loads", *["critic judges"] * 24]
    assert [each.outcome for each in stored_run(pytester).results] == ["right"] * 12


DIES = """
import signal
from pytest_llmbench.evaluations.grouping import Group

ask_judge = Group._ask_judge

def once(*about):
    try:
        os.close(os.open("died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return ask_judge(*about)
    os.kill(os.getpid(), signal.SIGKILL)

Group._ask_judge = once
"""


@pytest.mark.slow
def test_another_worker_goes_on_where_the_one_that_asked_for_all_died(pytester: pytest.Pytester, log: Path) -> None:
    """Between replies and verdicts: the test that it was on is lost, and nothing is asked twice."""
    judged_usecase(pytester.path, 8, "models: [./singer.gguf]\njudge: ./critic.gguf")
    pytester.makeconftest(LONER + ROOM_FOR_ONE + DIES)
    result = pytester.runpytest_subprocess("shout", "-n", "2", "--llmbench-max-error-rate", "0.5")
    assert result.ret == 0, result.stdout.str()
    told = log.read_text().splitlines()
    assert told == ["singer loads", *["singer answers"] * 8, "critic loads", *["critic judges"] * 8]
    ended = [each.category or each.outcome for each in stored_run(pytester).results]
    assert sorted(ended) == ["local.worker_crash", *["right"] * 7]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_trials_that_are_asked_later_are_asked_together_as_well(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """The first two of three trials are asked for all tests; where their verdicts differ the third, and then its
    verdict: each model makes room for the other once a round."""
    front = "models: [./singer.gguf]\nrepeats: 3\nreducer: majority\nstop: repeats\njudge: ./critic.gguf"
    usecase(pytester.path, 3, f"rubric: Its judge wavers.\n{front}")
    pytester.makeconftest(LONER + ROOM_FOR_ONE)
    result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 0, result.stdout.str()
    rounds = [["singer loads", *["singer answers"] * n, "critic loads", *["critic judges"] * n] for n in (6, 3)]
    assert log.read_text().splitlines() == [*rounds[0], *rounds[1]]
    run = stored_run(pytester)
    assert [len(each.evaluation.trials) for each in run.results if each.evaluation] == [3] * 3
    assert len(run.replies) == 18


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_panel_of_this_machine_judges_one_after_the_other(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """Of a model behind an API: each judge is loaded once where there is room for one, and the model is asked once."""
    judged_usecase(pytester.path, 4, "panel: [./singer.gguf, ./critic.gguf]")
    pytester.makeconftest(LONER + ROOM_FOR_ONE)
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
        assert calls(lab) == {"m": 4}
    assert result.ret == 0, result.stdout.str()
    told = log.read_text().splitlines()
    assert told == ["singer loads", *["singer judges"] * 4, "critic loads", *["critic judges"] * 4]
    assert [each.outcome for each in stored_run(pytester).results] == ["right"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_model_of_this_machine_is_a_last_resort_of_a_route(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """It is not even loaded while the one before it judges, and judges what that one fails on."""
    judged_usecase(pytester.path, 2, "judge: {model: route/careful, binding: true}")
    down: list[bool] = []
    first = lambda body: Failure(500, "it fell over") if down else loud(body)  # noqa: E731
    with court(pytester.path, LAST_RESORT, j=first):
        assert pytester.runpytest_subprocess("shout", *arguments).ret == 0
        assert not log.exists()
        down.append(True)
        result = pytester.runpytest_subprocess("shout", "--llmbench-attempts=1", *arguments)
    assert result.ret == 0, result.stdout.str()
    assert log.read_text().splitlines() == ["critic loads", "critic judges", "critic judges"]
    result.stdout.fnmatch_lines(["*2 of 2 verdicts by the fall-back*"])


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_what_a_last_resort_of_this_machine_judged_is_found_when_judged_anew(
    pytester: pytest.Pytester, log: Path, arguments: tuple[str, ...]
) -> None:
    """It judged one of two trials that say the same. The model before it is well again by then, and nobody is asked."""
    judged_usecase(pytester.path, 2, "judge: {model: route/careful, binding: true}\nrepeats: 2")
    moods = itertools.cycle([False, True])
    first = lambda body: loud(body) if next(moods) else Failure(500, "it fell over")  # noqa: E731
    with court(pytester.path, LAST_RESORT, j=first) as lab:
        pytester.runpytest_subprocess("shout", "--llmbench-attempts=1", *arguments)
        before, asked = calls(lab), log.read_text()
        assert (before["j"], asked.count("critic judges")) == (4, 2)
        moods = itertools.cycle([True])
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge=last", *arguments)
        assert (calls(lab), log.read_text()) == (before, asked), result.stdout.str()
    judges = [reply.model for reply in stored_run(pytester).replies if reply.role == "judge"]
    assert sorted(judge.rpartition("/")[2] for judge in judges) == ["critic.gguf", "critic.gguf", "j", "j"]


@pytest.mark.slow
def test_what_a_last_resort_of_this_machine_judged_stays_when_a_run_goes_on(
    pytester: pytest.Pytester, log: Path
) -> None:
    """Killed before its test was stored: the verdict is taken, though the model before it is well again."""
    judged_usecase(pytester.path, 2, "judge: {model: route/careful, binding: true}")
    pytester.makeconftest(
        LONER + "import signal\ndef pytest_runtest_makereport(item, call):\n"
        "    if call.when == 'call' and 's1' in item.name: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    well: list[bool] = []
    first = lambda body: loud(body) if well else Failure(500, "it fell over")  # noqa: E731
    with court(pytester.path, LAST_RESORT, j=first) as lab:
        assert pytester.runpytest_subprocess("shout", "--llmbench-attempts=1").ret == -9
        before, asked = calls(lab), log.read_text()
        well.append(True)
        pytester.makeconftest(LONER)
        resumed = pytester.runpytest_subprocess("shout", "--llmbench-resume=last")
        assert (resumed.ret, calls(lab), log.read_text()) == (0, before, asked), resumed.stdout.str()
    result_of = {each.sample: each.outcome for each in stored_run(pytester).results}
    assert result_of == {"s0": "right", "s1": "right"}


@pytest.mark.slow
def test_a_last_resort_whose_file_is_gone_is_not_fetched_to_look_for_its_verdict(
    pytester: pytest.Pytester, log: Path
) -> None:
    """Nobody knows then which file it was: the first model of the route is asked."""
    judged_usecase(pytester.path, 1, "judge: {model: route/careful, binding: true}")
    down = [True]
    first = lambda body: Failure(500, "it fell over") if down else loud(body)  # noqa: E731
    with court(pytester.path, LAST_RESORT, j=first) as lab:
        pytester.runpytest_subprocess("shout", "--llmbench-attempts=1")
        down.clear()
        pytester.path.joinpath("critic.gguf").rename(pytester.path / "away")
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge=last")
        assert (result.ret, calls(lab)["j"]) == (0, 2), result.stdout.str()
