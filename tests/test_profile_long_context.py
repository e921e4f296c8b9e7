"""The long_context profile as a test's `bench` runs it: the real engine, and scripted servers where it must fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gguf_samples import LLAMA, gguf
from served_sessions import session_in
from stands import measured, of_provider

from pytest_llmbench.bench import asking
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.profiles import long_context_limits as limits
from pytest_llmbench.profiles import long_context_text
from pytest_llmbench.profiles.long_context import LongContextLoad, _too_slow
from pytest_llmbench.profiles.long_context_report import ESTIMATED
from pytest_llmbench.records import Measurement, ModelFile, Repetition, ServerSpec
from pytest_llmbench.servers import engines

SMALL: Mapping[str, Any] = {"sizes": [512, 640], "depths": [0, 1], "most_rounds": 1}


def oracle(body: Mapping[str, Any]) -> Answer:
    """A model that reads everything: it tells the number of the subject it was asked for."""
    text = body["messages"][-1]["content"]
    subject = re.findall(r"What is the access number of ([\w ]+)\?", text)[-1]
    return Answer(re.findall(rf"The access number of {subject} is (\d+)", text)[0])


def first_seen(body: Mapping[str, Any]) -> Answer:
    """A model that takes the first number of five digits for the right one."""
    return Answer(re.findall(r"\b\d{5}\b", body["messages"][-1]["content"])[0])


def of_provider_only(folder: Path, script: Any, **choices: Any) -> Measurement:
    """Measure a server that is no llama.cpp."""
    with DemoProvider(script) as provider:
        name = of_provider(folder, provider.url)
        with session_in(folder, retakes="0") as session:
            return measured(session, name, "long_context", **{**SMALL, **choices})


def sized(measurement: Measurement, name: str) -> list[Any]:
    """A column of the table of readings."""
    table = next(table for table in measurement.tables if table.name == "long_context_reading")
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.fixture(scope="module")
def claimed_after() -> list[ServerSpec]:
    """What was still claimed after the measurement of `read_by_smollm2`."""
    return []


@pytest.fixture(scope="module")
def read_by_smollm2(
    smollm2: ModelFile, tmp_path_factory: pytest.TempPathFactory, claimed_after: list[ServerSpec]
) -> Measurement:
    """Two sizes that fit, and one that the model was not trained for."""
    with session_in(tmp_path_factory.mktemp("long"), context="256", retakes="0") as session:
        found = measured(session, smollm2.name, "long_context", **{**SMALL, "sizes": [256, 300, 9000], "warmup": 0})
        claimed_after += session.grants._claimed
    return found


def test_a_real_server_processes_exactly_the_tokens_that_were_asked_for(read_by_smollm2: Measurement) -> None:
    """Prompt and room for the answer are the context, by the server's own count, and none came from a cache."""
    for repetition in read_by_smollm2.counted:
        assert repetition.timing.server["prompt_n"] == repetition.labels["context_tokens"] - 32
        assert repetition.timing.server["cache_n"] == 0
        assert repetition.labels["counted"] == "exactly"
    assert [len(read_by_smollm2.where(context_tokens=size)) for size in (256, 300, 9000)] == [2, 2, 0]
    assert not [note for note in read_by_smollm2.notes if "were processed" in note]


def test_every_size_has_a_server_of_its_own_whose_memory_is_beside_the_estimate(read_by_smollm2: Measurement) -> None:
    """The context of a server decides its memory, not the prompt it happens to hold."""
    table = next(table for table in read_by_smollm2.tables if table.name == "long_context_memory")
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        assert cells["memory"] == pytest.approx(cells["expected"], rel=0.15)
        assert cells["KV cache expected"] == 23040 * -(-cells["context"] // 256) * 256
    assert read_by_smollm2.server["context"] == 512, "llama.cpp makes whole blocks of 256 of it"


def test_a_size_beyond_the_trained_context_is_left_out_with_the_reason(read_by_smollm2: Measurement) -> None:
    """It is no failure, and the largest context is one that was tried."""
    assert read_by_smollm2.series("largest_context").max == 300
    assert any("9000 tokens was left out" in n and "trained for contexts of 8192" in n for n in read_by_smollm2.notes)
    assert any("not measured: 9000" in note for note in read_by_smollm2.notes)


def test_the_largest_size_gives_the_context_load_and_a_word(read_by_smollm2: Measurement) -> None:
    """The median time to its first token, which the grade is made of."""
    waits = sorted(r.metrics["ttft_s"] for r in read_by_smollm2.where(context_tokens=300))
    assert read_by_smollm2.series("context_load_s").values == (pytest.approx(sum(waits) / 2),)
    assert sized(read_by_smollm2, "in words")[1] in {"smooth", "brief pause", "delay", "coffee break", "too slow"}
    assert read_by_smollm2.rating
    assert "300 tokens are read in" in read_by_smollm2.sentence


def test_no_server_stays_claimed_when_its_size_is_done(
    read_by_smollm2: Measurement, claimed_after: list[ServerSpec]
) -> None:
    """Else the memory of all sizes adds up, and the largest is refused though alone it would fit."""
    assert claimed_after == []


def test_a_prompt_from_the_cache_is_refused_though_the_server_is_real(
    smollm2: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cache left on and the same text twice the second time would be a hundredth of the true one."""
    monkeypatch.setattr(asking, "_NO_CACHE", {"cache_prompt": True})
    monkeypatch.setattr(long_context_text.secrets, "token_hex", lambda _: "00000000")
    with (
        session_in(tmp_path, context="256", retakes="0") as session,
        pytest.raises(InfraError, match="from its cache") as caught,
    ):
        measured(session, smollm2.name, "long_context", sizes=[256], depths=[0, 1], warmup=0)
    assert caught.value.category is Category.MEASUREMENT_INVALID


def test_a_server_that_tells_of_cached_tokens_is_refused(tmp_path: Path) -> None:
    """A server of somebody else, whose cache cannot be switched off from here."""
    with pytest.raises(InfraError, match="took 7 prompt tokens from its cache"):
        of_provider_only(tmp_path, Answer("12345", cached_tokens=7))


def test_a_server_that_cannot_count_is_measured_with_estimates_that_are_marked(tmp_path: Path) -> None:
    """Sizes are near what was asked for once the server has told the first one, and say what they are."""
    found = of_provider_only(tmp_path, oracle, sizes=[1024, 2048])
    assert {r.labels["counted"] for r in found.counted} == {"estimated"}
    assert ESTIMATED in found.notes
    last = found.counted[-1]
    assert last.usage.prompt_tokens == pytest.approx(last.labels["prompt_tokens"], rel=0.05)
    table = next(table for table in found.tables if table.name == "long_context_reading")
    assert "prompt tokens / time to first token" in table.note


def test_a_model_that_finds_the_fact_recalls_it_and_one_that_takes_any_number_does_not(tmp_path: Path) -> None:
    """The decoys tell the two apart: at depth 1 the first number of the text is one of them."""
    for name in ("finds", "guesses"):
        (tmp_path / name).mkdir()
    finds = of_provider_only(tmp_path / "finds", oracle)
    guesses = of_provider_only(tmp_path / "guesses", first_seen)
    assert finds.series("recall").values == (1, 1, 1, 1)
    assert [r.metrics["recall"] for r in guesses.where(depth=1.0)] == [0, 0]
    assert "of 4 hidden facts 4 were told back" in finds.sentence


def test_the_context_that_the_server_refuses_ends_the_measurement_with_what_it_had(tmp_path: Path) -> None:
    """The largest that works is found by trying; beyond it nothing is tried."""

    def small_context(body: Mapping[str, Any]) -> Answer | Failure:
        words = len(body["messages"][-1]["content"].split())
        return Failure(400, "too long", code="context_length_exceeded") if words > 700 else oracle(body)

    found = of_provider_only(tmp_path, small_context, sizes=[512, 2048, 4096], depths=[0.5])
    assert found.series("largest_context").max == 512
    assert any("2048 tokens does not work here" in note and "too long" in note for note in found.notes)
    assert any("not measured: 2048, 4096 tokens" in note for note in found.notes)


def test_a_first_size_that_the_server_refuses_is_an_infra_error(tmp_path: Path) -> None:
    """Nothing was measured, so there is nothing to conclude from."""
    with pytest.raises(InfraError, match="too long"):
        of_provider_only(tmp_path, Failure(400, "too long", code="context_length_exceeded"))


def test_another_failure_at_a_larger_size_is_not_taken_for_its_size(tmp_path: Path) -> None:
    """A server that breaks at 640 tokens says nothing about contexts."""
    script = [Answer("1")] * 3 + [Answer("1"), Failure(500, "broken")]
    with pytest.raises(InfraError, match="broken"):
        of_provider_only(tmp_path, script)


def test_a_size_stops_at_its_cap_with_what_it_had(tmp_path: Path) -> None:
    """The next request would not be done in time, going by the last one."""
    found = of_provider_only(
        tmp_path, Answer("1", ttft_s=0.7), sizes=[512], depths=[0, 0.5, 1], rounds=5, most_rounds=5, cap_s=2.0
    )
    assert 1 <= len(found.counted) <= 2
    assert any("512 tokens: stopped after" in note and "2 s" in note for note in found.notes)


def test_a_size_that_would_take_longer_than_its_cap_is_not_begun() -> None:
    """Going by the slowest pace so far, which is a lower bound: attention grows faster than the text."""
    load = LongContextLoad(sizes=(1000, 8000), cap_s=60)
    got = [Repetition(0, 0, "", {"e2e_s": seconds}, labels={"context_tokens": 1000}) for seconds in (5.0, 9.0)]
    assert "72 s or more" in _too_slow(got, load, 8000)
    assert _too_slow(got, load, 4000) == ""
    assert _too_slow([], load, 8000) == ""


def test_a_long_prompt_may_take_longer_than_the_deadline_of_a_short_one(tmp_path: Path) -> None:
    """The cap of the size is its deadline: two minutes, the usual one, are not enough to read a book."""
    with DemoProvider(Answer("1", ttft_s=1.0)) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path, ttft_timeout_s="0.3") as session:
            found = measured(session, name, "long_context", sizes=[512], depths=[0.5], most_rounds=1, cap_s=60)
    assert len(found.counted) == 1


def test_rounds_go_on_until_the_speed_is_known_or_most_rounds_are_made(tmp_path: Path) -> None:
    """The reason to stop stands in the notes; an interval of the median needs six values at least."""
    choices = {"sizes": [512], "depths": [0, 0.5, 1], "rounds": 1, "most_rounds": 3}
    steady = of_provider_only(tmp_path, Answer("1", ttft_s=0.02), precision=1000.0, **choices)
    assert len(steady.counted) == 6
    assert any("512 tokens: the 95 % interval" in note for note in steady.notes)
    (tmp_path / "never").mkdir()
    never = of_provider_only(tmp_path / "never", Answer("1"), precision=1e-9, **choices)
    assert len(never.counted) == 9
    assert any("512 tokens: all 9 repetitions were made" in note for note in never.notes)


def test_an_interrupted_measurement_goes_on_with_the_missing_requests(tmp_path: Path) -> None:
    """What was measured is kept, and the text of each request is the one it would have had."""
    asked: list[str] = []

    def dies_at_the_third(body: Mapping[str, Any]) -> Answer | Failure:
        asked.append(body["messages"][-1]["content"])
        return Failure(500, "broken") if len(asked) == 4 else oracle(body)  # the first one is the warm-up

    with DemoProvider(dies_at_the_third) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path) as session:
            run_id = session.run_id
            with pytest.raises(InfraError, match="broken"):
                measured(session, name, "long_context", **SMALL)
        with session_in(tmp_path, resume=run_id) as session:
            whole = measured(session, name, "long_context", **SMALL)
    assert [r.index for r in whole.counted] == [0, 1, 2, 3]
    assert whole.series("recall").values == (1, 1, 1, 1)
    assert any("2 repetitions were measured before" in note for note in whole.notes)
    assert len(asked) == 3 + 1 + 1 + 2


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"sizes": ()}, "sizes"),
        ({"sizes": (30,)}, "sizes"),
        ({"sizes": ("4k",)}, "sizes"),
        ({"depths": (1.5,)}, "depths"),
        ({"depths": ()}, "depths"),
        ({"rounds": 4}, "rounds"),
        ({"cap_s": 0}, "cap_s"),
        ({"output_tokens": 0}, "output_tokens"),
    ],
)
def test_a_choice_that_cannot_be_is_a_usage_error(choices: Mapping[str, Any], said: str) -> None:
    """Before any server is started."""
    with pytest.raises(UsageError, match=said):
        LongContextLoad(**choices)


def test_sizes_are_read_from_the_smallest_to_the_largest_and_once() -> None:
    """In whatever order they are written."""
    assert LongContextLoad(sizes=(8192, 4096, 8192)).sizes == (4096, 8192)


def test_servers_of_several_sizes_need_not_fit_together_and_one_that_never_fits_is_told(
    smollm2: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one server of 200 MB, two sizes are read one after the other, and 8000 tokens do not work."""
    monkeypatch.setattr(engines, "free_bytes", lambda: 300_000_000)
    with session_in(tmp_path, context="256", retakes="0") as session:
        found = measured(
            session, smollm2.name, "long_context", **{**SMALL, "sizes": [256, 300, 8000], "depths": [1], "warmup": 0}
        )
    assert [r.labels["context_tokens"] for r in found.counted] == [256, 300]
    assert any("8000 tokens does not work here" in note for note in found.notes), found.notes


def test_a_model_without_a_chat_template_is_told_to_be_none_that_answers(tmp_path: Path) -> None:
    """A base model reads as fast as any; that it tells nothing back is no forgetting."""
    said = {}
    for template in ("", "{{ messages }}"):
        file = tmp_path / f"m{len(template)}.gguf"
        file.write_bytes(gguf({**LLAMA, **({"tokenizer.chat_template": template} if template else {})}))
        model = ModelFile(file.stem, str(file), "", 0, "path")
        said[template] = limits.no_chat(SimpleNamespace(spec=ServerSpec(model)))
    assert "no chat template" in said[""]
    assert said["{{ messages }}"] == ""
