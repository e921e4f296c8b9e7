"""How likely a model finds a short text, token by token: far more telling a few hundred tokens than right answers are.

Each token of the text is one request: the tokens before it are the prompt, the token itself is forced by a logit bias.
llama-server reports log-probabilities from before its samplers, over the whole vocabulary, so the forced token's own is
exact however unlikely it is; a bias or grammar does not change it. Where a server does not heed the bias, the token is
looked for among the `N_PROBS` most likely, and left out where it is not among them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.records import Measurement, Repetition
from pytest_llmbench.stats import Interval, mean_interval, wilson

TEXT = """The bakery on the corner opens at six. By then the first trays of bread have been in the oven for half an \
hour, and the smell of them has reached the bus stop across the street. Mrs. Alder, who drives the early bus, says \
that she can tell the day of the week by it: rye on Mondays, cinnamon rolls on Fridays, and nothing at all on Sundays, \
when the ovens rest.

A roll costs 40 cents and a loaf costs 3 euros and 20 cents. Whoever buys ten rolls pays for nine, so a family of five \
that takes ten rolls and one loaf pays 6 euros and 80 cents.

"Why do you get up so early?" a boy once asked the baker. "Because bread needs time," she said, "and people are hungry \
before they are awake." The boy thought about it, nodded, and bought a second roll."""
"""Written for this project; about 190 tokens."""

PART = "text"
"""Label `part` of the repetitions that are tokens of the text."""
MARGIN = 0.05
"""Perplexities nearer than this are the same for us: two files of SmolLM2 with the same weights (Q4_1, and Q8_0 made
from it) differed by −1.1 to +1.9 % on five texts of 190 to 779 tokens, by their arithmetic alone."""
N_PROBS = 20
_FORCING_BIAS = 1000.0
_LOWEST = math.log(2.0**-149)
"""Of the smallest 32-bit float: llama-server tells −3.4e38 for what is less likely."""


class NoLogprobsError(Exception):
    """The server tells no log-probabilities in a form that is known here."""


@dataclass(frozen=True, slots=True)
class TokenProb:
    """One token of the text, as one model sees it."""

    position: int
    """From 1: the first token has nothing before it that would make it likely or not."""
    token_id: int
    logprob: float | None
    """Natural logarithm; None where the server did not tell it."""
    top_id: int
    """The token it finds most likely there."""


@dataclass(frozen=True, slots=True)
class TextComparison:
    """The same text under two models, paired token by token."""

    n: int
    left_out: int
    """Tokens whose log-probability one of the two did not tell."""
    ratio: float
    """Perplexity here / at the reference: above 1, the text is less likely here."""
    ratio_interval: Interval
    places: int
    """Tokens that both were asked for."""
    agreement: float
    """Share of the tokens where both find the same token most likely."""
    agreement_interval: Interval


def walk(api: LlamaApi, text: str, done: AbstractSet[int] = frozenset()) -> Iterator[TokenProb]:
    """Each token of `text` but the first, one request a token.

    The server keeps the prompt so far and reads one token at a time, always from the first one on: how many are read
    together changes the last digits, and with some quantizations more than the last.

    Args:
        api: of the server.
        text: what is walked.
        done: positions that are known already; they are walked over where one behind them is missing.

    Raises:
        NoLogprobsError: the server gives none.
        WireError: a request failed.
    """
    tokens = api.tokenize(text, add_special=True)
    missing = set(range(1, len(tokens))) - done
    for position in range(1, max(missing, default=0) + 1):
        told = api.completion(
            tokens[:position],
            n_predict=1,
            n_probs=N_PROBS,
            temperature=0.0,
            logit_bias=[[tokens[position], _FORCING_BIAS]],
            cache_prompt=position > 1,
        )
        found = read_token(told, position, tokens[position])
        if position in missing:
            yield found


def read_token(told: Mapping[str, Any], position: int, token_id: int) -> TokenProb:
    """What a completion of one token tells about `token_id`.

    Args:
        told: the answer of `/completion` with `n_probs`, without `post_sampling_probs`.
        position: of the token in the text.
        token_id: the token that stands there.

    Raises:
        NoLogprobsError: there are none, or in another form.
    """
    try:
        sampled = told["completion_probabilities"][0]
        top = sampled["top_logprobs"]
        known = {int(each["id"]): float(each["logprob"]) for each in (*top, sampled)}
        top_id = int(top[0]["id"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NoLogprobsError(f"no completion_probabilities of the form that is known ({error!r})") from error
    logprob = known.get(token_id)
    return TokenProb(position, token_id, None if logprob is None else max(logprob, _LOWEST), top_id)


def labels(token: TokenProb) -> dict[str, str | float | int | bool]:
    """The token as labels of a repetition; its log-probability is the metric `token_logprob`."""
    return {"part": PART, "position": token.position, "token_id": token.token_id, "top_id": token.top_id}


def perplexity(measurement: Measurement) -> float | None:
    """exp(−mean log-probability) of the text; None where none was told."""
    told = measurement.series("token_logprob")
    return math.exp(-told.mean) if told else None


def compare(here: Measurement, reference: Measurement) -> TextComparison | None:
    """The same text under both, token by token; None where it is another, or they share fewer than two tokens.

    The difference of a token's two log-probabilities is much steadier than either. Differences of neighbouring tokens
    are taken as independent: on SmolLM2's quantizations their autocorrelation was between −0.12 and 0.13 at lags 1–5,
    n = 190.
    """
    if here.settings.get("logprob_text") != reference.settings.get("logprob_text"):
        return None
    mine, theirs = _by_place(here), _by_place(reference)
    common = sorted(mine.keys() & theirs.keys())
    pairs = [(mine[place], theirs[place]) for place in common]
    told = [(a.metrics["token_logprob"], b.metrics["token_logprob"]) for a, b in pairs if _told(a) and _told(b)]
    if len(told) < 2:
        return None
    differences = [a - b for a, b in told]
    interval = mean_interval(differences)
    agreed = sum(a.labels["top_id"] == b.labels["top_id"] for a, b in pairs)
    return TextComparison(
        n=len(told),
        left_out=len(mine.keys() | theirs.keys()) - len(told),
        ratio=math.exp(-statistics.fmean(differences)),
        ratio_interval=Interval(math.exp(-interval.high), math.exp(-interval.low), interval.confidence),
        places=len(pairs),
        agreement=agreed / len(pairs),
        agreement_interval=wilson(agreed, len(pairs)),
    )


def verdict(found: TextComparison) -> str:
    """Worse and better by more than the margin, the same within it; undecided where the interval reaches across."""
    low, high = found.ratio_interval.low, found.ratio_interval.high
    if low > 1 + MARGIN:
        return "worse"
    if high < 1 / (1 + MARGIN):
        return "better"
    return f"the same within {100 * MARGIN:.0f} %" if low >= 1 / (1 + MARGIN) and high <= 1 + MARGIN else "undecided"


def in_words(found: TextComparison) -> str:
    """What the comparison says, for a sentence."""
    low, high = found.ratio_interval.low, found.ratio_interval.high
    change, lowest, highest = (f"{100 * (ratio - 1):+.1f}" for ratio in (found.ratio, low, high))
    return f"perplexity of a short text {change} % ({lowest} to {highest} %, n = {found.n} tokens): {verdict(found)}"


def _by_place(measurement: Measurement) -> dict[tuple[Any, Any], Repetition]:
    """Position and token → its repetition; a text that is cut into other tokens has other places."""
    return {(r.labels["position"], r.labels["token_id"]): r for r in measurement.where(part=PART)}


def _told(repetition: Repetition) -> bool:
    return "token_logprob" in repetition.metrics
