"""A run of thousands of judged replies is killed half-way, finished, judged and gated anew: nothing is asked twice.

200 samples, 3 models, 3 repeats, a panel of 2: 1,800 replies, 3,600 verdicts, and some of those once more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from judge_suites import RUBRIC, court, judged_reply, verdict
from kill_runs import MARK, marked
from usecase_suites import usecase

from pytest_llmbench import clock
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.demo.calls import Call
from pytest_llmbench.records import Run
from pytest_llmbench.results.calls import CallsOf
from pytest_llmbench.results.judge_use import judging
from pytest_llmbench.results.use_cases import tables
from pytest_llmbench.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif("sys.platform != 'linux'", reason="reads /proc"),
]

SAMPLES, REPEATS, SUBJECTS = 200, 3, ("m", "n", "o")
REPLIES = SAMPLES * REPEATS * len(SUBJECTS)
PATIENCE_S = 300.0
MORE_MODELS = """\
      o: {price: {input: 1, output: 10}}
      i: {price: {input: 2, output: 20}, capabilities: {json_schema: true}}
"""
FRONT = """\
models: [lab/m, lab/n, lab/o]
request: {{temperature: 1}}
repeats: 3
reducer: majority
panel: {{models: [lab/j, lab/k], binding: true}}
gates:
  - {{metric: pass_rate, min: 0.5, model: lab/m}}
  - {{metric: pass_rate, min: {least}, model: lab/n}}
"""

_BY_CALLS = {"calls", "on_cost_front", "on_speed_front"}
"""Fields of a row that times have a part in, or the price of calls that the kill cut off, which nobody knows."""

Question = tuple[str, str]
"""The model without its provider, and the messages as JSON."""


def _chance(*words: object) -> float:
    """The same for the same words, from 0 to 1."""
    return crc32(repr(words).encode()) / 2**32


def _subject(right: float) -> Any:
    """Answers in capitals as often as `right` says, else as it was asked; in small pieces, so that a kill cuts some."""

    def answer(body: dict[str, Any]) -> Answer:
        said = body["messages"][-1]["content"]
        return Answer(said.upper() if _chance(body["model"], said) < right else said, ttft_s=0.03, itl_s=0.01)

    return answer


def _severe(body: dict[str, Any]) -> Answer:
    """Fails a tenth of what is right. Of another tenth its first verdict cannot be used, and of a twentieth no one."""
    reply = judged_reply({"messages": [{"content": body["messages"][1]["content"]}]})
    trouble = _chance("trouble", reply)
    if trouble < 0.05 or (trouble < 0.15 and "EARLIER ANSWER" not in body["messages"][-1]["content"]):
        return Answer("Fine, I think.", ttft_s=0.02)
    return replace(verdict(reply.isupper() and _chance("severe", reply) > 0.1), ttft_s=0.02)


def _kind(body: dict[str, Any]) -> Answer:
    """Passes everything."""
    return replace(verdict(True), ttft_s=0.02)


@dataclass
class Project:
    """A folder with the use case, and what was asked while one of its runs lasted."""

    folder: Path
    lab: DemoProvider

    def gated_at(self, least: float) -> None:
        """(Re)write its page."""
        usecase(self.folder, SAMPLES, f"{RUBRIC}\n{FRONT.format(least=least)}")

    def start(self, *arguments: str, mark: str = "") -> subprocess.Popen[bytes]:
        """`llmbench` in a process of its own."""
        with self.folder.joinpath("output").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest_llmbench", *arguments],
                cwd=self.folder,
                env={**self._environment(), MARK: mark or "none"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_XDIST", "LLMBENCH"))}
        return {**kept, "XDG_CONFIG_HOME": str(self.folder), "LLMBENCH_CALIBRATE": "false"}

    def run(self, *arguments: str) -> tuple[int, list[Call]]:
        """Its exit code, and the questions that came meanwhile."""
        before = len(self.lab.chats())
        with self.start(*arguments) as process:
            return process.wait(PATIENCE_S), self.lab.chats()[before:]

    def killed_after(self, count: int, *arguments: str) -> list[Call]:
        """The questions that came until the kill; all processes are gone and no question is in the air."""
        before, mark = len(self.lab.chats()), uuid.uuid4().hex
        with self.start(*arguments, mark=mark) as process:
            self._until(lambda: len(self.lab.chats()) >= before + count or process.poll() is not None)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, self.output
        self._until(lambda: not any(marked(mark)) and not self.lab.counts.in_flight)
        return self.lab.chats()[before:]

    def _until(self, happens: Any) -> None:
        deadline = clock.monotonic() + PATIENCE_S
        while not happens():
            assert clock.monotonic() < deadline, self.output
            clock.sleep(0.02)

    @property
    def output(self) -> str:
        return self.folder.joinpath("output").read_text()

    def stored(self, name: str = "last") -> Run:
        store = Store.open(self.folder / ".llmbench" / "results.db")
        try:
            return store.load_run(name)
        finally:
            store.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three models of known rates, a judge that is right, a severe one that is silent at times, and a kind one."""
    folder = tmp_path_factory.mktemp("unbroken")
    rates = {"m": _subject(0.95), "n": _subject(0.75), "o": _subject(0.3)}
    with court(folder, MORE_MODELS, **rates, k=_severe, i=_kind) as running:
        yield Project(folder, running)


@dataclass
class Unbroken:
    """What a run that nobody disturbed came to."""

    run: Run
    exit_code: int
    asked: Counter[Question]


@pytest.fixture(scope="module")
def unbroken(lab: Project) -> Unbroken:
    """Asked once for all tests."""
    lab.gated_at(0.9)
    exit_code, calls = lab.run("run", "shout", "--report", "none")
    return Unbroken(lab.stored(), exit_code, _counted(calls))


def _counted(calls: Sequence[Call]) -> Counter[Question]:
    return Counter((call.body["model"], json.dumps(call.body["messages"])) for call in calls)


def _kept(run: Run) -> Counter[Question]:
    """What the store has answers to."""
    told = (reply.request for reply in run.replies)
    return Counter(
        (reply.model.removeprefix("lab/"), json.dumps(request["messages"]))
        for reply, request in zip(run.replies, told, strict=True)
        if request is not None
    )


def _by_model(asked: Counter[Question]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (model, _), count in asked.items():
        found[model] += count
    return dict(found)


def _plain(found: Any) -> Any:
    """Without the ids of replies, which are drawn by lot."""
    if isinstance(found, dict):
        return {key: _plain(value) for key, value in found.items() if key not in ("reply_id", "reply_ids")}
    return [_plain(each) for each in found] if isinstance(found, list | tuple) else found


def _evaluations(run: Run) -> dict[str, Any]:
    return {each.key: (each.outcome, _plain(asdict(each)["evaluation"])) for each in run.results}


def _rows(run: Run) -> list[Any]:
    return [
        ({name: told for name, told in asdict(row).items() if name not in _BY_CALLS}, _paid(row.calls))
        for table in tables(run)
        for row in table.rows
    ]


def _paid(calls: CallsOf) -> tuple[Any, ...]:
    return calls.replies, calls.prompt_tokens, calls.completion_tokens, calls.costs.subject, calls.costs.judge


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_run_that_was_killed_half_way_is_finished_as_if_it_had_not_been(
    lab: Project, unbroken: Unbroken, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """kill -9 of the controller: what is stored is asked by nobody again, all else once, and verdicts, tables, gates,
    costs and exit code are those of the unbroken run. Judging and gating it anew asks the models under test nothing."""
    project = Project(tmp_path, lab.lab)
    tmp_path.joinpath("llmbench.yaml").write_bytes(lab.folder.joinpath("llmbench.yaml").read_bytes())
    project.gated_at(0.9)
    whole = unbroken.asked.total()
    before = _counted(project.killed_after(whole // 2, "run", "shout", "--report", "none", *arguments))
    kept = _kept(project.stored())
    exit_code, calls = project.run("run", "shout", "--report", "none", "--resume", "last", *arguments)
    assert 0 < kept.total() <= before.total() < whole
    assert kept + _counted(calls) == unbroken.asked
    assert before <= unbroken.asked
    run = project.stored()
    assert exit_code == unbroken.exit_code == 10, project.output
    assert _evaluations(run) == _evaluations(unbroken.run)
    assert _rows(run) == _rows(unbroken.run)
    assert judging(run) == judging(unbroken.run)
    assert run.gates == unbroken.run.gates
    _is_decided_anew_without_a_model(project)


def _is_decided_anew_without_a_model(project: Project) -> None:
    """Another judge: it alone is asked. Other gates: nobody is."""
    run = project.stored()
    exit_code, calls = project.run("rejudge", run.id, "shout", "--judge", "lab/j,lab/i", "--report", "none")
    assert (exit_code, _by_model(_counted(calls))) == (0, {"i": REPLIES}), project.output
    assert len(project.stored().results) == SAMPLES * len(SUBJECTS)
    project.gated_at(0.4)
    assert project.run("regate", run.id) == (0, [])


def test_the_unbroken_run_asks_as_often_as_it_says(unbroken: Unbroken) -> None:
    """Each sample three times of each model, each reply once of each judge, and what could not be used once more."""
    asked = _by_model(unbroken.asked)
    assert {name: asked[name] for name in SUBJECTS} == dict.fromkeys(SUBJECTS, SAMPLES * REPEATS)
    assert asked["j"] == REPLIES
    assert REPLIES < asked["k"] < REPLIES * 1.3
    assert set(unbroken.asked.values()) <= {REPEATS, REPEATS * 2, REPEATS * 3}
    outcomes = Counter(each.outcome for each in unbroken.run.results)
    assert set(outcomes) == {"right", "wrong", "unscored"}
