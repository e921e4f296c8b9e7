"""A short text under two quantizations, token by token: what is read from the server, and what it says."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from quality_samples import a_token, answered

from pytest_llmbench.bench.completing import _dirty_notes
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.profiles.quality_logprobs import NoLogprobsError, compare, in_words, read_token, verdict, walk
from pytest_llmbench.profiles.quality_report import conclude
from pytest_llmbench.records import Repetition
from pytest_llmbench.reports.rows import model_row


def told(sampled: tuple[int, float], *top: tuple[int, float]) -> dict[str, Any]:
    """An answer of llama-server b11434 with `n_probs`, as it looks on the wire."""
    rows = [{"id": i, "token": "x", "bytes": [120], "logprob": lp} for i, lp in top]
    first = {"id": sampled[0], "token": "x", "bytes": [120], "logprob": sampled[1], "top_logprobs": rows}
    return {"content": "x", "completion_probabilities": [first]}


def test_a_forced_token_tells_its_own_probability() -> None:
    """However unlikely it is, and the likeliest token beside it."""
    token = read_token(told((216, -10.79), (690, -0.007), (614, -7.43)), 5, 216)
    assert (token.logprob, token.top_id) == (-10.79, 690)


def test_a_token_that_was_not_forced_is_looked_for_among_the_likeliest() -> None:
    """A server that does not heed the bias samples another one."""
    answer = told((690, -0.007), (690, -0.007), (614, -7.43))
    assert read_token(answer, 5, 614).logprob == -7.43
    assert read_token(answer, 5, 216).logprob is None


def test_a_probability_too_small_for_its_number_is_the_smallest() -> None:
    """llama-server tells the lowest 32-bit float for log 0, which would drown all others in a mean."""
    assert read_token(told((9, -3.4028234663852886e38), (1, -0.1)), 1, 9).logprob == pytest.approx(math.log(2**-149))


@pytest.mark.parametrize(
    "answer",
    [
        {"content": "x"},
        {"completion_probabilities": []},
        {"completion_probabilities": [{"id": 1, "prob": 1.0, "top_probs": [{"id": 1, "prob": 1.0}]}]},
        {"completion_probabilities": [{"content": "x", "probs": [{"tok_str": "x", "prob": 0.9}]}]},
        {"completion_probabilities": [{"id": 1, "logprob": None, "top_logprobs": [{"id": 1, "logprob": None}]}]},
        {"completion_probabilities": [{"id": 1, "logprob": -1.0, "top_logprobs": []}]},
        {"completion_probabilities": "none"},
    ],
)
def test_other_forms_are_no_logprobs(answer: Mapping[str, Any]) -> None:
    """Older servers, probabilities after sampling, NaN, none at all: said, never taken for numbers."""
    with pytest.raises(NoLogprobsError, match="completion_probabilities"):
        read_token(answer, 1, 1)


class Scripted(LlamaApi):
    """A server of five tokens, without a network."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], dict[str, Any]]] = []

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = True) -> list[int]:
        assert (text, add_special, parse_special) == ("any", True, True)
        return [10, 11, 12, 13, 14]

    def completion(self, prompt: str | Sequence[int], **fields: Any) -> dict[str, Any]:
        self.asked.append(([int(token) for token in prompt], fields))
        return told((fields["logit_bias"][0][0], -float(len(prompt))), (99, -0.5))


def test_the_text_is_walked_one_token_a_request() -> None:
    """Each token after those before it; the server never reads ahead, nor from what it had read before the text."""
    server = Scripted()
    tokens = list(walk(server, "any"))
    assert [(t.position, t.token_id, t.logprob) for t in tokens] == [(1, 11, -1), (2, 12, -2), (3, 13, -3), (4, 14, -4)]
    assert [prompt for prompt, _ in server.asked] == [[10], [10, 11], [10, 11, 12], [10, 11, 12, 13]]
    assert [fields["cache_prompt"] for _, fields in server.asked] == [False, True, True, True]
    assert {fields["n_predict"] for _, fields in server.asked} == {1}


def test_a_walk_is_gone_on_with_from_its_beginning() -> None:
    """The same steps as without the interruption: reading several tokens at once gives other numbers."""
    server = Scripted()
    assert [t.position for t in walk(server, "any", frozenset({1, 2, 4}))] == [3]
    assert [len(prompt) for prompt, _ in server.asked] == [1, 2, 3]
    server.asked.clear()
    assert list(walk(server, "any", frozenset({1, 2, 3, 4}))) == []
    assert server.asked == []


def tokens_of(differences: Sequence[float], base: Sequence[float]) -> list[Repetition]:
    return [a_token(i + 1, b + d) for i, (b, d) in enumerate(zip(base, differences, strict=True))]


def compared(differences: Sequence[float], spread: float = 3.0) -> tuple[Any, list[Repetition], list[Repetition]]:
    """Two walks whose tokens differ by these log-probabilities, over tokens that scatter by `spread`."""
    chance = random.Random(1)
    base = [-abs(chance.gauss(0, spread)) - 1 for _ in differences]
    here, there = tokens_of(differences, base), tokens_of([0.0] * len(base), base)
    return compare(answered("m:Q4_0", tokens=here), answered("m:Q8_0", tokens=there)), here, there


def test_a_change_is_found_because_tokens_are_paired() -> None:
    """A loss of 0.1 a token between tokens that scatter by 2 is seen in 200 pairs; two means would not show it."""
    chance = random.Random(2)
    found, here, there = compared([-0.1 + chance.gauss(0, 0.2) for _ in range(200)])
    assert found.ratio == pytest.approx(math.exp(0.1), rel=0.04)
    assert found.ratio_interval.low < math.exp(0.1) < found.ratio_interval.high
    assert verdict(found) == "worse"
    concluded = conclude(answered("m:Q4_0", tokens=here), [answered("m:Q8_0", tokens=there)])
    assert concluded.scalars["perplexity_ratio"] == found.ratio
    assert concluded.scalars["degraded"] == 0
    assert "perplexity of a short text +1" in concluded.sentence
    assert concluded.sentence.endswith("n = 200 tokens): worse")


def test_a_change_that_is_certain_and_tiny_is_the_same() -> None:
    """Arithmetic alone makes one per cent, whatever its sign; a p-value would call it significant."""
    chance = random.Random(3)
    found, _, _ = compared([-0.01 + chance.gauss(0, 0.02) for _ in range(200)])
    assert found.ratio_interval.low > 1
    assert verdict(found) == "the same within 5 %"
    better, _, _ = compared([0.3 + chance.gauss(0, 0.2) for _ in range(200)])
    assert verdict(better) == "better"


def test_too_few_tokens_decide_nothing() -> None:
    """The interval reaches across the margin: neither the same nor different."""
    chance = random.Random(4)
    found, _, _ = compared([chance.gauss(-0.05, 0.5) for _ in range(20)])
    assert verdict(found) == "undecided"
    assert "n = 20 tokens): undecided" in in_words(found)


def test_the_interval_of_the_ratio_covers_the_truth_as_often_as_it_says() -> None:
    """Of 400 pairs of walks with a true ratio of exp(0.05), 95 % give or take what chance allows (±3 σ)."""
    chance = random.Random(5)
    covered = 0
    for _ in range(400):
        found, _, _ = compared([chance.gauss(-0.05, 0.5) for _ in range(150)])
        covered += found.ratio_interval.low <= math.exp(0.05) <= found.ratio_interval.high
    assert 0.917 <= covered / 400 <= 0.983


def test_tokens_that_one_did_not_tell_are_left_out_and_said() -> None:
    """In both of the pair; the likeliest token is known all the same."""
    here = [a_token(1, -1.0), a_token(2, None, top_id=8), a_token(3, -2.0), a_token(4, -3.0)]
    there = [a_token(1, -1.0), a_token(2, -9.0), a_token(3, -2.5), a_token(5, -3.0)]
    found = compare(answered("m:Q4_0", tokens=here), answered("m:Q8_0", tokens=there))
    assert found is not None
    assert (found.n, found.left_out, found.places) == (2, 3, 3)
    assert found.agreement == pytest.approx(2 / 3)
    tables = conclude(answered("m:Q4_0", tokens=here), [answered("m:Q8_0", tokens=there)]).tables
    assert "3 tokens were left out" in tables[-1].note


def test_another_tokenizer_is_not_compared() -> None:
    """The same places with other tokens are not the same text."""
    here = [a_token(i, -1.0, token_id=500 + i) for i in range(1, 9)]
    there = [a_token(i, -1.0) for i in range(1, 9)]
    assert compare(answered("m:Q4_0", tokens=here), answered("m:Q8_0", tokens=there)) is None


def test_another_text_is_not_compared() -> None:
    """Though the questions are, which are the same."""
    walked = [a_token(i, -1.0) for i in range(1, 9)]
    here = answered("m:Q4_0", tokens=walked, logprob_text="Another text.")
    concluded = conclude(here, [answered("m:Q8_0", tokens=walked)])
    assert "accuracy_change" in concluded.scalars
    assert "perplexity_ratio" not in concluded.scalars
    assert concluded.scalars["perplexity"] == pytest.approx(math.e)


def test_a_token_of_the_text_is_no_repetition() -> None:
    """Twenty questions are twenty repetitions, however many requests of one token stand beside them."""
    told = answered("m:Q8_0", n=20, tokens=[a_token(place, -1.0) for place in range(1, 186)])
    first = dataclasses.replace(told.repetitions[0], dirty="other programs used 60% of all cores")
    disturbed = dataclasses.replace(told, repetitions=(first, *told.repetitions[1:]))
    assert (len(disturbed.counted), len(disturbed.asked), model_row(disturbed).repetitions) == (205, 20, 20)
    assert _dirty_notes(disturbed, retaken=True) == [
        "1 of 20 repetitions was measured while others used the machine (other programs used 60% of all cores)"
    ]
