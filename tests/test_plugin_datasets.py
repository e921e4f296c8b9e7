"""Datasets in tests: one test a row, asked ahead; what is wrong in a file is told with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider, Failure

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl")
    def test_answer(reply, sample):
        assert reply.text == sample.expected
"""


def echo(body: dict[str, Any]) -> Answer | Failure:
    return Answer(body["messages"][-1]["content"].upper())


@pytest.fixture
def provider(pytester: pytest.Pytester) -> Iterator[DemoProvider]:
    """Answers in capitals, as `lab/...`."""
    with DemoProvider(echo) as running:
        pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  lab: {{url: '{running.url}'}}\n")
        yield running


def rows(path: Path, count: int) -> None:
    path.joinpath("questions.jsonl").write_text(
        "".join(json.dumps({"id": f"s{n}", "input": f"say {n}", "expected": f"SAY {n}"}) + "\n" for n in range(count))
    )


def asked(provider: DemoProvider) -> list[str]:
    return sorted(call.body["messages"][-1]["content"] for call in provider.chats())


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_each_row_is_a_test_whose_reply_is_asked_once(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    """Results and replies are stored with the sample; -n changes nothing."""
    pytester.makepyfile(SUITE)
    rows(pytester.path, 12)
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == 0, result.stdout.str()
    run = stored_run(pytester)
    assert sorted(each.sample for each in run.results) == sorted(f"s{n}" for n in range(12))
    assert {each.outcome for each in run.results} == {"right"}
    assert asked(provider) == sorted(f"say {n}" for n in range(12))
    texts = {reply.id: reply.text for reply in run.replies}
    assert {each.sample: texts[each.reply_ids[0]] for each in run.results} == {f"s{n}": f"SAY {n}" for n in range(12)}


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_after_the_first_failure_little_more_was_asked(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    """-x at the first of 200: the provider saw the look-ahead window, not the dataset."""
    pytester.makepyfile(SUITE.replace("== sample.expected", "is None"))
    rows(pytester.path, 200)
    result = pytester.runpytest_subprocess("-x", *arguments)
    assert result.ret == 1 if not arguments else result.ret in {1, 2}
    # Under xdist each of the two workers is on a test of its own, with a window behind it, and may begin another.
    assert 1 <= len(asked(provider)) <= (1 + 8 if not arguments else 2 * (2 + 8))


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--setup-plan",)])
def test_looking_at_a_suite_asks_nothing(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE)
    rows(pytester.path, 5)
    assert pytester.runpytest_subprocess(*arguments).ret == 0
    assert asked(provider) == []
    assert not (pytester.path / ".llmbench").exists()


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_collection_error_asks_nothing(
    pytester: pytest.Pytester, provider: DemoProvider, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE, test_broken="import nowhere_to_be_found")
    rows(pytester.path, 5)
    assert pytester.runpytest_subprocess(*arguments).ret == 2
    assert asked(provider) == []


def test_what_is_skipped_is_not_asked(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """Neither by a mark nor by deselection."""
    pytester.makepyfile(
        SUITE
        + """
    @pytest.mark.skip
    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", system="skipped")
    def test_skipped(reply):
        raise AssertionError

    @pytest.mark.skipif("True", reason="always")
    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("questions.jsonl", system="skipped if")
    def test_skipped_if(reply):
        raise AssertionError
    """
    )
    rows(pytester.path, 3)
    pytester.runpytest_subprocess("-k", "not s2").assert_outcomes(passed=2, skipped=4, deselected=3)
    assert asked(provider) == ["say 0", "say 1"]


def test_resuming_asks_only_what_has_no_reply(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """A run that was killed within its tests: no completed reply is asked twice, whatever the test did then."""
    pytester.makepyfile(
        SUITE
        + """
        if sample.id == "s6" and not __import__("pathlib").Path("again").exists():
            __import__("pathlib").Path("again").touch()
            __import__("os").kill(__import__("os").getpid(), 9)
    """
    )
    rows(pytester.path, 10)
    assert pytester.runpytest_subprocess().ret == -9
    stored = {reply.text for reply in stored_run(pytester).replies}
    before = len(asked(provider))
    assert stored >= {f"SAY {n}" for n in range(7)}
    assert pytester.runpytest_subprocess("--llmbench-resume", "last").ret == 0
    assert len(asked(provider)) - before == 10 - len(stored)
    run = stored_run(pytester)
    assert len(run.replies) == len(run.results) == 10


def test_resuming_within_one_ask_all_asks_only_the_rest(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """The test that asks for a whole dataset is killed half-way through."""
    pytester.makepyfile(
        """
        import os, pathlib, pytest, threading, time

        def die_half_way():
            while True:
                time.sleep(0.01)
                if not pathlib.Path("again").exists() and pathlib.Path("half").exists():
                    pathlib.Path("again").touch()
                    os.kill(os.getpid(), 9)

        @pytest.mark.models("lab/m")
        @pytest.mark.dataset("questions.jsonl", input="input")
        def test_all(model, dataset):
            threading.Thread(target=die_half_way, daemon=True).start()
            replies = model.ask_all(dataset, concurrency=4)
            assert [reply.text for reply in replies] == [sample.expected for sample in dataset]
        """
    )
    rows(pytester.path, 40)
    seen: list[str] = []

    def slow(body: dict[str, Any]) -> Answer:
        seen.append(body["messages"][-1]["content"])
        if len(seen) == 20:
            pytester.path.joinpath("half").touch()
        return Answer(body["messages"][-1]["content"].upper(), ttft_s=0.02)

    provider.follow(slow)
    assert pytester.runpytest_subprocess().ret == -9
    stored = {reply.text for reply in stored_run(pytester).replies}
    assert 10 <= len(stored) < 40
    del seen[:]
    assert pytester.runpytest_subprocess("--llmbench-resume", "last").ret == 0
    assert {text.upper() for text in seen} == {f"SAY {n}" for n in range(40)} - stored
    assert len(seen) == 40 - len(stored)


def test_the_marker_says_how_a_sample_is_asked(pytester: pytest.Pytester, provider: DemoProvider) -> None:
    """Columns of other names, a prompt put together from cells, options of the request; `{{` in a cell stays."""
    pytester.path.joinpath("q.csv").write_text("nr,frage,antwort,art\n1,{{art}} eins,EINS,leicht\n2,zwei,ZWEI,schwer\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("lab/m")
        @pytest.mark.dataset("q.csv", id="nr", expected="antwort", prompt="{{ art }}: {{frage}}", system="Kurz.",
                             max_tokens=7, top_p=0.5, limit=1)
        def test_answer(reply, sample, dataset, request):
            assert (sample.id, sample.expected, sample.input) == ("1", "EINS", "leicht: {{art}} eins")
            assert sample.metadata == {"frage": "{{art}} eins", "art": "leicht"}
            assert len(dataset) == 1
            assert request.node.name == "test_answer[lab/m-1]"
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 0, result.stdout.str()
    [call] = provider.chats()
    assert call.body["messages"] == [
        {"role": "system", "content": "Kurz."},
        {"role": "user", "content": "leicht: {{art}} eins"},
    ]
    assert (call.body["max_tokens"], call.body["top_p"], call.body["stream"]) == (7, 0.5, False)


def test_a_test_that_measures_waits_until_nothing_is_asked_and_may_ask_itself(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    """While an exclusive test runs, nothing that is asked ahead is under way; its own questions are answered."""
    pytester.makepyfile(
        """
        import json, pytest, time, urllib.request

        def counted():
            return json.loads(urllib.request.urlopen(URL + "/demo/counts").read())["requests"]

        @pytest.mark.models("lab/m")
        @pytest.mark.dataset("questions.jsonl", limit=1)
        def test_first(reply):
            assert reply.text

        @pytest.mark.exclusive
        @pytest.mark.models("lab/m")
        def test_alone(model):
            before = counted()
            time.sleep(0.3)
            assert counted() == before
            assert model.ask("alone").text == "ALONE"

        @pytest.mark.models("lab/m")
        @pytest.mark.dataset("questions.jsonl", system="later")
        def test_later(reply, sample):
            assert reply.text == sample.expected
        """.replace("URL", repr(provider.url))
    )
    provider.follow(lambda body: Answer(body["messages"][-1]["content"].upper(), ttft_s=0.05))
    rows(pytester.path, 60)
    result = pytester.runpytest_subprocess("--llmbench-max-concurrency", "4")
    assert result.ret == 0, result.stdout.str()


def test_a_stream_gives_the_text_as_it_comes_and_keeps_the_reply(
    pytester: pytest.Pytester, provider: DemoProvider
) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_llmbench import UsageError

        @pytest.mark.models("lab/m")
        def test_stream(model):
            live = model.stream("one two three")
            with pytest.raises(UsageError, match="iterated over"):
                live.reply
            pieces = list(live)
            assert len(pieces) > 1
            assert "".join(pieces) == live.reply.text == "ONE TWO THREE"
            assert live.reply.id
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 0, result.stdout.str()
    assert [reply.text for reply in stored_run(pytester).replies] == ["ONE TWO THREE"]


@pytest.mark.parametrize(
    ("name", "content", "marker", "said"),
    [
        ("q.jsonl", '{"input": "a"}\n{"inptu": "b"}\n', "'q.jsonl'", "*q.jsonl:2:*no column 'input'*'inptu'*"),
        ("q.jsonl", '{"input": "a"}\nnonsense\n', "'q.jsonl'", "*q.jsonl:2: not JSON*"),
        ("q.jsonl", '{"id": 1, "input": "a"}\n{"id": "1", "input": "b"}\n', "'q.jsonl'", "*2: the id '1' stands in*1*"),
        ("q.jsonl", '{"input": ""}\n', "'q.jsonl'", "*q.jsonl:1: 'input' is to be a text*"),
        ("q.jsonl", "\n", "'q.jsonl'", "*q.jsonl holds no sample*"),
        ("q.csv", "input,expected\na,b,c\n", "'q.csv'", "*q.csv:2: 3 cells under 2 heads*"),
        ("q.csv", "input,input\na,b\n", "'q.csv'", "*q.csv:1: the column 'input' stands there twice*"),
        ("q.csv", "a\nb\n", "'q.csv', prompt='{{c}}'", "*q.csv:2: there is no column 'c'*"),
        ("q.txt", "a", "'q.txt'", "*is none of .csv, .jsonl*"),
        ("q.jsonl", "", "'nowhere.jsonl'", "*nowhere.jsonl cannot be read: No such file*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', limit=0", "*limit=*from 1 on*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', 'r.jsonl'", "*takes one path*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', id=3", "*id=*is to be a text*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', max_tokens='9'", "*max_tokens=) is a whole number*, not '9'*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', max_tokens=0", "*max_tokens=) is a whole number from 1 on, not 0*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', stream=1", "*stream=) is True or False, not 1*"),
        ("q.jsonl", '{"input": "a"}', "'q.jsonl', max_token=9", "*max_token=): did you mean max_tokens=?*"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_dataset_is_told_before_anything_runs(
    pytester: pytest.Pytester, name: str, content: str, marker: str, said: str
) -> None:
    """With the file and the line; nothing is asked, the session ends as with any test file that cannot be collected."""
    pytester.path.joinpath(name).write_text(content)
    pytester.makepyfile(SUITE.replace("lab/m", "demo/echo").replace('"questions.jsonl"', marker))
    result = pytester.runpytest_inprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines([said])


def test_a_sample_without_a_dataset_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(sample): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*@pytest.mark.dataset('questions.jsonl')*"])


def test_a_sample_of_the_projects_own_is_left_alone(pytester: pytest.Pytester) -> None:
    """`sample`, `reply` and `dataset` are common names."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def dataset():
            return [1, 2]

        @pytest.mark.parametrize("sample", [1, 2])
        def test_own(sample, dataset):
            assert sample in dataset
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / ".llmbench").exists()
