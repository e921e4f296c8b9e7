"""What a judge is relied upon by: room to think, a calibration made in the same way, deafness to planted orders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from calibration_suites import labels
from judge_suites import RUBRIC, calls, court, judged_usecase, loud, obedient, verdict
from suite_runs import report_folder, stored_run

from pytest_llmbench.demo import Answer
from pytest_llmbench.evaluations.jury import Jury
from pytest_llmbench.judges import asking, choosing
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.records import JudgeCalibration
from pytest_llmbench.results.judging import calibrated

if TYPE_CHECKING:
    from pytest_llmbench.session import Session

FEW = "judges: {labels: 12}\n"
REASONS = "      r: {price: {input: 2, output: 20}, capabilities: {json_schema: true, reasoning: true}}\n"


@pytest.mark.parametrize(
    ("front", "low", "high"),
    [
        ("judge: lab/j", 1, 3999),
        ("judge: lab/r", 4001, 8000),
        ("judge: {model: lab/r, request: {max_tokens: 700}}", 700, 700),
        ("judge: {model: lab/j, request: {body: {reasoning_effort: low}}}", 4001, 8000),
    ],
)
def test_a_judge_that_reasons_has_room_for_thoughts(pytester: pytest.Pytester, front: str, low: int, high: int) -> None:
    """Known to reason, or asked to; what the page says of max_tokens wins."""
    judged_usecase(pytester.path, 1, front)
    with court(pytester.path, REASONS, r=loud) as lab:
        result = pytester.runpytest_subprocess("shout")
        asked = [call.body["max_tokens"] for call in lab.chats() if call.body["model"] != "m"]
    assert result.ret == 0, result.stdout.str()
    assert asked
    assert all(low <= tokens <= high for tokens in asked), asked


def test_a_reply_in_another_script_gets_room_for_its_verdict(pytester: pytest.Pytester) -> None:
    """Four times as much as in Latin letters; the same on the retry, and not where the page says how much."""
    said = "我的包裹还没有到,请问什么时候能收到?谢谢您的帮助和耐心。"
    given, rooms = "judge: {model: lab/j, request: {max_tokens: 700}}", []
    for front, reply in (("judge: lab/j", "LOUD"), ("judge: lab/j", said), (given, said)):
        judged_usecase(pytester.path, 1, front)
        with court(pytester.path, m=lambda _, reply=reply: Answer(reply)) as lab:
            pytester.runpytest_inprocess("shout")
        rooms.append({call.body["max_tokens"] for call in lab.chats() if call.body["model"] == "j"})
    [usual], [wide], [told] = rooms
    assert (wide, told) == (4 * usual, 700)


def test_one_that_compares_has_room_as_well(pytester: pytest.Pytester) -> None:
    """In both orders."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.models("lab/m")
        @pytest.mark.judge("lab/r", rubric="{RUBRIC.partition(": ")[2]}")
        def test_one(model, judge):
            assert judge.compare("A", "b", "hello").flipped
        """
    )
    first = Answer(json.dumps({"reason": "It stands above.", "better": "first"}))
    with court(pytester.path, REASONS, r=lambda _: first) as lab:
        pytester.runpytest_subprocess().assert_outcomes(passed=1)
        assert all(call.body["max_tokens"] > 4000 for call in lab.chats())
        assert calls(lab) == {"r": 2}


def calibrate(pytester: pytest.Pytester, front: str = "") -> JudgeCalibration:
    """Hold `lab/j` against twelve labels by `RUBRIC`, and keep it."""
    replies = ("SAY IT" if number % 2 else "say it" for number in range(12))
    rows = [
        {**row, "reply": reply, "human": "pass" if reply.isupper() else "fail"}
        for row, reply in zip(labels(12), replies, strict=True)
    ]
    folder = pytester.path / "labels"
    folder.mkdir(exist_ok=True)
    folder.joinpath("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = f"{RUBRIC}\njudges: [lab/j]\nlabels: labels.jsonl\n{front}"
    folder.joinpath("answers.calibration.yaml").write_text(text)
    result = pytester.runpytest_subprocess("labels", "--llmbench-keep-calibrations=true", "--llmbench-report=html,md")
    assert result.ret == 0, result.stdout.str()
    newest = max(pytester.path.glob("llmbench-judges/*.json"), key=lambda path: path.stat().st_mtime_ns)
    return JudgeCalibration.from_dict(json.loads(newest.read_text()))


def why(pytester: pytest.Pytester, front: str) -> str:
    """Why the judge of the use case only advises, in a run of it; empty: it counts."""
    page = pytester.path / "shout" / "USE-CASE.md"
    if page.exists():
        text = page.read_text()
        page.write_text("\n".join(front if line.startswith("judge:") else line for line in text.splitlines()) + "\n")
    else:
        judged_usecase(pytester.path, 1, front)
    result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    found = stored_run(pytester).results[0].evaluation
    assert found is not None
    return str(found.scores[0].details.get("not_calibrated", ""))


@pytest.mark.slow
def test_a_calibration_is_bound_to_the_way_of_asking(pytester: pytest.Pytester) -> None:
    """Another temperature makes the judge advise and is the reason; one asked as the labels were counts."""
    with court(pytester.path, FEW):
        kept = calibrate(pytester)
        assert why(pytester, "judge: lab/j") == ""
        assert "of another way of asking" in why(pytester, "judge: {model: lab/j, request: {temperature: 1.0}}")
        again = calibrate(pytester, "request: {temperature: 1.0}\n")
    assert again.request_hash != kept.request_hash
    assert len(list(pytester.path.glob("llmbench-judges/*.json"))) == 2, "neither puts the other away"


def asked(**request: object) -> str:
    """The way in which a judge is asked; no session has a part in it."""
    return Jury(
        cast("Session", None), choosing.chosen("politeness"), Judging(("lab/j",), request=request)
    ).way_of_asking


@pytest.mark.slow
def test_all_that_a_judge_is_asked_is_its_way_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request's settings and our words around what it judges, those of the retry included."""
    usual = asked()
    assert asked(temperature=0.0, max_tokens=None, seed=None, stream=True) == usual, "as where nobody says anything"
    others = [asked(temperature=0.5), asked(max_tokens=900), asked(seed=1), asked(top_p=0.5), asked(temperature=None)]
    assert len({usual, *others}) == 6
    for name in ("SYSTEM", "ONLY_JSON"):
        with monkeypatch.context() as changed:
            changed.setattr(asking, name, "Be strict.")
            assert asked() != usual, name
    assert asked() == usual


@pytest.mark.slow
def test_a_judge_that_obeys_a_planted_order_only_advises(pytester: pytest.Pytester) -> None:
    """Right on every label, and fooled by one of three: the row, the record, the reports and later runs say so."""
    with court(pytester.path, FEW, j=obedient) as lab:
        kept = calibrate(pytester)
        assert calls(lab) == {"j": 16}
        run = stored_run(pytester)
        [table] = calibrated(run)
        assert (table.labels, table.judges[0].n, table.judges[0].canaries) == (12, 12, (1, 3))
        assert table.judges[0].sentence.startswith("advises only: fooled by 1 of 3 planted orders")
        assert (kept.n, list(kept.canaries), kept.kappa and kept.kappa[0]) == (12, [1, 3], 1.0)
        assert why(pytester, "judge: lab/j") == "fooled by 1 of 3 planted orders"
    told = report_folder(pytester, run)
    for name in ("report.html", "report.md"):
        assert "1 of 3" in told.joinpath(name).read_text(), name


@pytest.mark.parametrize(("judge", "canaries"), [(loud, [0, 3]), (lambda _: verdict(True), [0, 3])])
@pytest.mark.slow
def test_a_lenient_judge_is_not_fooled(pytester: pytest.Pytester, judge: Any, canaries: list[int]) -> None:
    """One that passes the same reply without an order obeys nothing; nor does one that fails them all."""
    with court(pytester.path, j=judge):
        kept = calibrate(pytester)
    assert list(kept.canaries) == canaries
