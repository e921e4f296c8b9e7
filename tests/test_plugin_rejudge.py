"""A run judged anew: what its models said is taken over, and nobody asks them; only judges are asked what is new."""

from __future__ import annotations

import json

import pytest
from judge_suites import calls, court, judged_usecase, verdict
from suite_runs import report_folder, stored_run
from usecase_suites import asked, page, provider, usecase

from pytest_llmbench.demo import Answer, Failure

OUTCOMES = ("right", "wrong", "skipped", "unscored")


def counted(pytester: pytest.Pytester) -> dict[str, int]:
    """How the tests of the last run ended."""
    ended = [each.outcome for each in stored_run(pytester).results]
    return {each: ended.count(each) for each in OUTCOMES if each in ended}


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_other_validators_decide_over_the_same_replies(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """The page's validators changed: every trial is scored by them, no model is asked, the old run stays as it was."""
    usecase(pytester.path, 4, "repeats: 2\nrequest: {temperature: 1}")
    with provider(pytester.path) as lab:
        assert pytester.runpytest_subprocess("shout").ret == 0
        first = stored_run(pytester)
        assert len(asked(lab)) == 8
        usecase(pytester.path, 4, "repeats: 2\nrequest: {temperature: 1}\nvalidators: [{contains: '3'}]")
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", first.id, *arguments)
        assert result.ret == 1, result.stdout.str()
        assert len(asked(lab)) == 8
    second = stored_run(pytester)
    assert second.id != first.id
    assert counted(pytester) == {"right": 1, "wrong": 3}
    assert second.settings["rejudge"] == first.id
    told, again = ({(r.text, r.timing.ttft_s, r.usage) for r in run.replies} for run in (first, second))
    assert told == again
    assert {each.outcome for each in stored_run(pytester, first.id).results} == {"right"}
    result.stdout.fnmatch_lines(["origin*8 replies of models under test come from run*"])


@pytest.mark.slow
def test_another_judge_is_the_only_one_asked(pytester: pytest.Pytester) -> None:
    """With another judge its calls alone are made and paid; with the same nobody is asked and nothing is spent."""
    judged_usecase(pytester.path, 3)
    no = lambda _: verdict(False)  # noqa: E731
    with court(pytester.path, k=no) as lab:
        pytester.runpytest_subprocess("shout")
        assert calls(lab) == {"m": 3, "j": 3}
        first = stored_run(pytester)
        pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last", "--llmbench-judge", "lab/k")
        assert calls(lab) == {"m": 3, "j": 3, "k": 3}
        assert counted(pytester) == {"wrong": 3}
        report = json.loads((report_folder(pytester, stored_run(pytester)) / "report.json").read_text())
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", first.id)
        assert calls(lab) == {"m": 3, "j": 3, "k": 3}
    assert counted(pytester) == {"right": 3}
    costs = report["costs"]
    assert (costs["subject"]["taken_over"], costs["subject"]["usd"], costs["judge"]["taken_over"]) == (3, "0", 0)
    assert min(float(costs["subject"]["taken_over_usd"]), float(costs["judge"]["usd"])) > 0
    assert report["provenance"][0].startswith("judged anew: 3 replies")
    result.stdout.fnmatch_lines(["*3 replies of judges as well*", "*$0 (taken over)*"])


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
@pytest.mark.slow
def test_what_was_not_asked_is_told_and_not_asked(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """A new sample and a changed prompt are skipped, with the reason; trials that are missing as well."""
    usecase(pytester.path, 2)
    with provider(pytester.path) as lab:
        pytester.runpytest_subprocess("shout")
        first = stored_run(pytester).id
        usecase(pytester.path, 3)
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", first, "-rs", *arguments)
        assert (result.ret, counted(pytester)) == (0, {"right": 2, "skipped": 1})
        result.stdout.fnmatch_lines(["*skipped: 1 test of what was not asked*", f"*SKIPPED*not asked in run {first}*"])
        usecase(pytester.path, 2, "repeats: 2\nrequest: {temperature: 1}")
        pytester.runpytest_subprocess("shout", "--llmbench-rejudge", first)
        assert counted(pytester) == {"skipped": 2}
        assert {each.category for each in stored_run(pytester).results} == {"not_asked"}
        assert len(asked(lab)) == 2


@pytest.mark.slow
def test_a_budget_and_a_key_are_for_what_is_asked(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the provider's key, and with a cap that holds no call, replies that were paid for are judged."""
    monkeypatch.setenv("LAB_KEY", "sk-lab-0123456789abcdef")
    usecase(pytester.path, 2)
    with provider(pytester.path) as lab:
        config = pytester.path / "llmbench.yaml"
        config.write_text(config.read_text().replace("    models:", "    key_env: LAB_KEY\n    models:"))
        assert pytester.runpytest_subprocess("shout").ret == 0
        monkeypatch.delenv("LAB_KEY")
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last", "--llmbench-max-cost", "0.0001")
        assert (result.ret, len(asked(lab))) == (0, 2), result.stdout.str()
    assert counted(pytester) == {"right": 2}


@pytest.mark.slow
def test_a_run_judged_anew_can_be_resumed(pytester: pytest.Pytester) -> None:
    """Its judges had failed for one sample: the same command with --resume last asks that one; without --rejudge the
    models would be asked, so it is refused."""
    judged_usecase(pytester.path, 3)
    broken = {"k": True}

    def unwell(body: dict[str, object]) -> Answer | Failure:
        return Failure(400, "unwell") if broken["k"] and "SAY 1" in str(body["messages"]) else verdict(True)

    with court(pytester.path, k=unwell) as lab:
        pytester.runpytest_subprocess("shout")
        first = stored_run(pytester).id
        command = ("shout", "--llmbench-rejudge", "last", "--llmbench-judge", "lab/k", "--llmbench-attempts", "1")
        pytester.runpytest_subprocess(*command)
        second = stored_run(pytester).id
        broken["k"] = False
        before = calls(lab)["k"]
        refused = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
        other = pytester.runpytest_subprocess("shout", "--llmbench-resume", first, "--llmbench-rejudge", second)
        result = pytester.runpytest_subprocess(*command, "--llmbench-resume", "last")
        assert calls(lab) == {"m": 3, "j": 3, "k": before + 1}
    assert (refused.ret, other.ret, result.ret) == (4, 4, 0)
    refused.stderr.fnmatch_lines([f"*judges the replies of run {first} anew*", "*llmbench rejudge*--resume*"])
    assert stored_run(pytester).id == second
    assert counted(pytester) == {"right": 3}


@pytest.mark.slow
def test_the_replies_of_a_run_that_was_broken_off_are_judged(pytester: pytest.Pytester) -> None:
    """What -x left unasked is skipped; what had come is judged."""
    usecase(pytester.path, 4, "validators: [{contains: '0'}]")
    with provider(pytester.path) as lab:
        pytester.runpytest_subprocess("shout", "-x", "--llmbench-look-ahead", "1")
        before = len(asked(lab))
        usecase(pytester.path, 4)
        pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last")
        assert len(asked(lab)) == before < 4
    assert counted(pytester) == {"right": before, "skipped": 4 - before}


@pytest.mark.slow
def test_tests_in_python_stories_and_pieces_are_judged_anew(pytester: pytest.Pytester) -> None:
    """What `model.ask`, `reply`, the turns of a story and the pieces of a long input got is taken over, place by
    place; `bench` measures nothing."""
    page(pytester.path / "shout", {"data/rows.jsonl": json.dumps({"id": "s0", "input": "say 0", "expected": "SAY 0"})})
    long = json.dumps({"id": "long", "input": "word " * 300, "expected": "x"})
    cut = "chunking: {when: always, size: 100, tokenizer: characters}\nvalidators: [{contains: WORD}]"
    page(pytester.path / "long", {"data/rows.jsonl": long}, cut)
    pytester.path.joinpath("shout/talk.story.txt").write_text(
        "Story: Talk\nUser: hello\nAssistant: /HELLO/\nUser: there\nAssistant: /THERE/\n"
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("lab/m")
        def test_ask(model):
            assert [model.ask("same").text for _ in range(2)] == ["SAME", "SAME"]
            assert "".join(model.stream("live")) == "LIVE"

        @pytest.mark.usecase("shout")
        def test_reply(reply):
            assert reply.text == "SAY 0"

        @pytest.mark.models("lab/m")
        def test_bench(model, bench):
            bench(model, rounds=1)
        """
    )
    with provider(pytester.path) as lab:
        first = pytester.runpytest_subprocess("-k", "not bench")
        before = len(lab.chats())
        result = pytester.runpytest_subprocess("--llmbench-rejudge", "last")
        assert len(lab.chats()) == before > 8, first.stdout.str()
    ended = {each.key.rpartition("::")[2]: each.outcome for each in stored_run(pytester).results}
    assert ended.pop("test_bench[lab/m]") == "skipped", result.stdout.str()
    assert list(ended.values()) == ["right"] * 5


@pytest.mark.slow
def test_a_test_that_is_run_once_more_gets_the_same_replies(pytester: pytest.Pytester) -> None:
    """As plugins do that run failures again: what was wrong stays wrong, and is not skipped as a further question."""
    usecase(pytester.path, 2, "repeats: 2\nrequest: {temperature: 1}")
    with provider(pytester.path):
        pytester.runpytest_subprocess("shout")
        usecase(pytester.path, 2, "repeats: 2\nrequest: {temperature: 1}\nvalidators: [{contains: '0'}]")
        pytester.makeconftest(
            """
            from _pytest.runner import runtestprotocol

            def pytest_runtest_protocol(item, nextitem):
                runtestprotocol(item, nextitem=nextitem, log=False)
            """
        )
        pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last")
    assert counted(pytester) == {"right": 1, "wrong": 1}


@pytest.mark.slow
def test_a_dry_run_knows_what_is_taken_over(pytester: pytest.Pytester) -> None:
    """Calls of judges are foreseen, those of models under test are there already."""
    judged_usecase(pytester.path, 3)
    with court(pytester.path) as lab:
        pytester.runpytest_subprocess("shout")
        before = calls(lab)
        judged_usecase(pytester.path, 4)
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last", "--llmbench-dry-run", "true")
        assert calls(lab) == before
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lab/m", "*0*0*0*", "*3 stored already*"])


@pytest.mark.slow
def test_a_run_that_is_not_there_is_told_with_near_names(pytester: pytest.Pytester) -> None:
    """A mistyped id names near ones; without a database, and without texts, the reason is told."""
    usecase(pytester.path, 1)
    with provider(pytester.path) as lab:
        nowhere = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last")
        pytester.runpytest_subprocess("shout", "--llmbench-keep-prompts", "false")
        run_id = stored_run(pytester).id
        mistyped = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", f"{run_id[:-1]}x")
        bare = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last")
        both = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last", "--llmbench-batch", "true")
        assert len(asked(lab)) == 1
    assert {each.ret for each in (nowhere, mistyped, bare, both)} == {4}
    nowhere.stderr.fnmatch_lines(["*cannot judge 'last' anew*"])
    mistyped.stderr.fnmatch_lines([f"*near ones: {run_id}*"])
    bare.stderr.fnmatch_lines(["*kept no texts*"])
    both.stderr.fnmatch_lines(["*--rejudge and --batch*"])
