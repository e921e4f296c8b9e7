"""How often would a semantic cache answer a question with the reply to another one?

The tables of docs/explanation/semantic-cache.md, over the pairs of pytest_llmbench/data/near_opposites.jsonl: pairs
that want different answers (a hit is false) and true rewordings (a hit is right), by the threshold of the cosine,
without guards, with those that know certain words, and with all as they are shipped. `written-with` is the part that
the guards were written with, `held-out` the one that was not looked at. Then the same for replies that one verdict of a
judge would be given to.

    python benchmarks/semantic_cache.py [--set held-out] [--show]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from pytest_llmbench.cache.guards import WORDS, differences
from pytest_llmbench.cache.semantic import same_to_read
from pytest_llmbench.embeddings import embedded
from pytest_llmbench.stats.intervals import wilson

THRESHOLDS = (0.80, 0.85, 0.90, 0.95, 0.97, 0.99)


@dataclass(frozen=True)
class Pair:
    """Two prompts, or two replies."""

    part: str
    about: str
    kind: str
    language: str
    same: bool
    one: str
    other: str

    @property
    def nearness(self) -> float:
        """The cosine of both."""
        return float(embedded(self.one) @ embedded(self.other))


Guard = Callable[[Pair], bool]
"""Whether nothing speaks against a hit."""

GUARDS: dict[str, Guard] = {
    "no guard": lambda _pair: True,
    "certain words": lambda pair: not set(differences(pair.one, pair.other)) - {WORDS},
    "all words": lambda pair: not differences(pair.one, pair.other),
}
JUDGED: dict[str, Guard] = {
    "the same to read": lambda pair: same_to_read(pair.one) == same_to_read(pair.other),
    "but for case, spaces and marks at the end": lambda pair: _loose(pair.one) == _loose(pair.other),
    "… and all guards": lambda pair: _loose(pair.one) == _loose(pair.other) and not differences(pair.one, pair.other),
    "cosine 0.95 and all guards": lambda pair: pair.nearness >= 0.95 and not differences(pair.one, pair.other),
    "cosine 0.95": lambda pair: pair.nearness >= 0.95,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=("written-with", "held-out"), default="held-out")
    parser.add_argument("--show", action="store_true", help="the pairs behind the figures of the guards")
    options = parser.parse_args()
    pairs = [pair for pair in read() if pair.part == options.set]
    prompts = [pair for pair in pairs if pair.about == "prompt"]
    by_threshold(prompts)
    by_kind(prompts)
    of_replies([pair for pair in pairs if pair.about == "reply"])
    if options.show:
        show(prompts)


def read() -> Iterator[Pair]:
    """All pairs."""
    for line in files("pytest_llmbench").joinpath("data", "near_opposites.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        yield Pair(row.pop("set"), **row)


def by_threshold(prompts: Sequence[Pair]) -> None:
    """False and right hits by threshold and guards."""
    print(f"\n| cosine ≥ | {' | '.join(f'{name}: false hits | right hits' for name in GUARDS)} |")
    print(f"|---|{'---|' * 2 * len(GUARDS)}")
    for threshold in THRESHOLDS:
        cells = [
            share([guard(pair) and pair.nearness >= threshold for pair in prompts if pair.same is same])
            for guard in GUARDS.values()
            for same in (False, True)
        ]
        print(f"| {threshold:.2f} | {' | '.join(cells)} |")


def by_kind(prompts: Sequence[Pair], threshold: float = 0.95) -> None:
    """Hits by what the pairs differ in, at one threshold."""
    print(f"\n| at {threshold:.2f} | pairs | {' | '.join(GUARDS)} |\n|---|---|{'---|' * len(GUARDS)}")
    rows = Counter((pair.same, pair.kind if pair.language == "en" else "de, fr, es") for pair in prompts)
    for (same, kind), size in sorted(rows.items()):
        some = [
            pair
            for pair in prompts
            if pair.same is same and kind == (pair.kind if pair.language == "en" else "de, fr, es")
        ]
        hits = (sum(guard(pair) and pair.nearness >= threshold for pair in some) for guard in GUARDS.values())
        print(f"| {'reworded' if same else 'another answer'}: {kind} | {size} | {' | '.join(map(str, hits))} |")


def of_replies(replies: Sequence[Pair]) -> None:
    """Which replies one verdict would be given to."""
    print("\n| one verdict for replies that are equal, or near | false hits | right hits |\n|---|---|---|")
    for name, rule in JUDGED.items():
        cells = (share([rule(pair) for pair in replies if pair.same is same]) for same in (False, True))
        print(f"| {name} | {' | '.join(cells)} |")


def show(prompts: Sequence[Pair]) -> None:
    """The false hits that are left, the right ones that are lost."""
    for pair in prompts:
        found = differences(pair.one, pair.other)
        if pair.same == bool(found):
            print(f"{pair.kind} {pair.language} {pair.nearness:.3f} {found}: {pair.one!r} / {pair.other!r}")


def share(hits: Sequence[bool]) -> str:
    """So many of all, with the 95 % interval."""
    interval = wilson(sum(hits), len(hits))
    return f"{sum(hits)} of {len(hits)}: {sum(hits) / len(hits):.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def _loose(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .!?…")


if __name__ == "__main__":
    main()
