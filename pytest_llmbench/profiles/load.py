"""Many users at once: how much a server takes, and at what price for each of them.

A closed loop keeps so many users busy: each asks again when it has its answer, and waits along with a slow server. An
open loop sends when a request is due, whatever became of the others, as people and programs do; its latencies count
from the intended start, so a queue cannot hide (coordinated omission).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.bench import Planned, Profile, Stand, Timed
from pytest_llmbench.profiles.arrivals import constant, poisson
from pytest_llmbench.profiles.load_choices import REQUESTS, ServingLoad
from pytest_llmbench.profiles.load_levels import LevelResult, hopeless, last_attempt, read_level
from pytest_llmbench.profiles.load_log import Arrival
from pytest_llmbench.profiles.load_report import conclude
from pytest_llmbench.profiles.load_text import Texts
from pytest_llmbench.records import Repetition

ROUNDS_A_USER = 4
"""Each user of a closed loop asks at least so often: its first and last requests meet fewer others."""
LEVEL_S = 120.0
MOST_SLOTS = 4
"""Slots that a server of ours gets at least, where as many users are meant: each takes memory for its context."""
RAMP = 10
"""Of an open loop one request in so many is left out of the latencies: they meet a queue that is still filling."""


def needs(load: ServingLoad) -> Mapping[str, Any]:
    """Slots for several at once, and of a trace a context that holds its longest request."""
    most = int(max(load.levels)) if load.arrival == "closed" else MOST_SLOTS
    slots = {"slots": load.slots or min(most, MOST_SLOTS)}
    if not load.trace:
        return slots
    return {**slots, "context": max(each.input_tokens + each.output_tokens for each in load.kept_of_trace())}


def drive(stand: Stand, load: ServingLoad) -> Iterator[Timed]:
    """Level by level until one is hopeless; a level that was interrupted is measured again from its beginning."""
    stand.note(_slots(stand))
    texts: Texts | None = None
    before: LevelResult | None = None
    heaviest_kept = max((float(r.labels["level"]) for r in stand.kept), default=-math.inf)
    first_index = max(stand.done, default=-1) + 1
    for level in load.levels:
        got = list(last_attempt(stand.kept, level))
        if not (level < heaviest_kept or (got and len(got) == got[0].labels["of"])):
            texts = texts or _warmed_up(stand, load)
            planned = _planned(load, level, texts, attempt=_attempts(stand, level, got), first_index=first_index)
            first_index += len(planned)
            got = []
            for timed in _sent(stand, load, level, planned):
                got.append(timed.repetition)
                yield timed
        now = read_level(got, level, load.settings())
        if hopeless(now, before):
            return
        before = now


def _slots(stand: Stand) -> str:
    slots = stand.slots
    if slots is None and (api := stand.api()) is not None:
        slots = api.props().get("total_slots")
    if slots is None:
        return "how many requests the server works on at once is not known: it is not ours"
    return f"the server works on {slots} request{'' if slots == 1 else 's'} at once (slots); others wait for their turn"


def _warmed_up(stand: Stand, load: ServingLoad) -> Texts:
    texts = Texts(stand.api(), load.seed) if load.trace else Texts(None, load.seed)
    stand.warm_up(Planned(0, -1, load.prompts[0], load.output_tokens), load.warmup)
    return texts


def _attempts(stand: Stand, level: float, got: Sequence[Repetition]) -> int:
    """Which attempt at this level begins now, from 0."""
    if not got:
        return 0
    stand.note(
        f"level {level:g} was interrupted and measured again from its beginning: "
        f"its {len(got)} earlier requests are in no figure of a level"
    )
    return int(got[0].labels["attempt"]) + 1


def _planned(load: ServingLoad, level: float, texts: Texts, *, attempt: int, first_index: int) -> list[Planned]:
    planned = _of_trace(load, level, texts) if load.trace else _of_prompts(load, level)
    labels = {"level": level, "attempt": attempt, "of": len(planned)}
    ramp = 0 if load.trace else int(level) if load.arrival == "closed" else len(planned) // RAMP
    return [
        dataclasses.replace(
            each,
            index=first_index + number,
            labels={**each.labels, **labels, "ramp": number < ramp, **_due(each)},
        )
        for number, each in enumerate(planned)
    ]


def _due(planned: Planned) -> dict[str, float]:
    return {} if planned.due_s is None else {"due_s": planned.due_s}


def _of_trace(load: ServingLoad, level: float, texts: Texts) -> list[Planned]:
    """The recorded requests at `level` times their speed."""
    return [
        Planned(
            0,
            0,
            each.messages or texts.of(number, each.input_tokens),
            each.output_tokens,
            labels=_lengths(each),
            due_s=each.at_s / level,
        )
        for number, each in enumerate(load.kept_of_trace())
        if load.level_s is None or each.at_s / level <= load.level_s
    ]


def _lengths(recorded: Arrival) -> dict[str, int]:
    """What a reply is held against; a prompt that is asked as it was is as long as this model's tokenizer has it."""
    prompt = {} if recorded.messages else {"asked_prompt_tokens": recorded.input_tokens}
    return {**prompt, "asked_output_tokens": recorded.output_tokens}


def _of_prompts(load: ServingLoad, level: float) -> list[Planned]:
    requests = load.requests or REQUESTS
    due: Sequence[float | None]
    if load.arrival == "closed":
        due = [None] * (math.ceil(max(requests, ROUNDS_A_USER * level) / level) * int(level))
    else:
        arrivals = constant(level, requests) if load.arrival == "constant" else poisson(level, requests, load.seed)
        due = [each for each in arrivals if each <= (load.level_s or LEVEL_S)]
    return [
        Planned(0, number // len(load.prompts), load.prompts[number % len(load.prompts)], load.output_tokens, due_s=at)
        for number, at in enumerate(due)
    ]


def _sent(stand: Stand, load: ServingLoad, level: float, planned: Sequence[Planned]) -> Iterator[Timed]:
    if load.arrival != "closed":
        return stand.ask_open(planned, max_in_flight=len(planned))
    ends_s = stand.elapsed_s() + (load.level_s or LEVEL_S)
    in_time = (each for each in planned if stand.elapsed_s() < ends_s)
    return stand.ask_all(in_time, concurrency=int(level), tolerant=True)


LOAD = Profile("load", ServingLoad, drive, conclude, rated=("attainment",), needs=needs)
