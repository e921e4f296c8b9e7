"""What is asked of whom, at what price: samples, targets, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pytest_llmbench.records.record import Record


@dataclass(frozen=True, slots=True)
class Sample(Record):
    """One input with its expected answer: a row of a dataset."""

    id: str
    """Unique in its dataset; part of the test's id."""
    input: str | Sequence[Mapping[str, Any]]
    """The user's message, or a whole conversation."""
    expected: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The row's other columns."""


@dataclass(frozen=True, slots=True)
class DamagedSample(Sample):
    """A sample whose input was changed on purpose, for how well models stand it."""

    clean: Sample | None = None
    """As it was: what its few-shot examples are chosen by."""


@dataclass(frozen=True, slots=True)
class Price(Record):
    """What a model costs, in US dollars a token, as decimal text (`"0.0000025"`); empty where nobody told."""

    input: str = ""
    output: str = ""
    cached: str = ""
    """A prompt token read from the provider's cache; where empty, `input`."""
    cache_write: str = ""
    """A prompt token written to the provider's cache; where empty, `input`."""
    reasoning: str = ""
    """Where empty, `output`."""
    request: str = ""
    """A request by itself; where empty, nothing."""
    source: str = ""
    """Who told: `llmbench.yaml`, `catalogue`, `table`."""
    as_of: str = ""
    """The date of that source; ISO 8601."""

    @property
    def known(self) -> bool:
        """Whether a call can be priced."""
        return bool(self.input and self.output)


CACHED = frozenset({"cached", "alike"})
"""Sources of the costs of replies that the response cache gave."""
_NOT_SPENT = CACHED | {"replayed", "taken_over"}


@dataclass(frozen=True, slots=True)
class Cost(Record):
    """What one call cost."""

    usd: str = ""
    """Decimal text; empty: unknown, which is not 0."""
    source: str = "unknown"
    """`billed` (the provider told), `priced` (tokens × price), `replayed` (from a cassette, nothing was spent),
    `taken_over` (from another run, which paid for it), `cached` (from the response cache, nothing was spent), `alike`
    (the same, of a question that was held for the same), `free` (a server of this machine, used as it is),
    `unpriced` (a server of ours: it has no price, and no bill will come), `refused` (the provider
    refused it before anything was generated), or `unknown`."""
    paid_at: str = ""
    """When that was asked and paid which the response cache gives again; ISO 8601, UTC; empty for all others."""

    @property
    def amount(self) -> Decimal | None:
        """In US dollars; None where unknown."""
        return Decimal(self.usd) if self.usd else None

    @property
    def spent(self) -> Decimal:
        """What this call took from a budget, in US dollars: nothing for one that was replayed, taken over or cached; 0
        where unknown."""
        return Decimal(0) if self.source in _NOT_SPENT or not self.usd else Decimal(self.usd)


UNKNOWN_COST = Cost()
UNPRICED = Cost(source="unpriced")
"""Of what was asked of a server of ours: neither 0, for it takes electricity, nor an unknown part of a bill."""

LOCAL_URLS = ("http://127.", "http://localhost", "http://[::1]", "http+unix:")
"""How the addresses of servers on this machine begin."""


@dataclass(frozen=True, slots=True)
class Limits(Record):
    """What an account may do with a model; None: nobody told."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None
    """How many requests may be under way at once."""


@dataclass(frozen=True, slots=True)
class Capabilities(Record):
    """What a model takes; None: nobody told, and it was not tried."""

    images: bool | None = None
    audio: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    seed: bool | None = None
    logprobs: bool | None = None
    system: bool | None = None
    reasoning: bool | None = None
    temperature: bool | None = None
    source: str = ""
    """Who told: `llmbench.yaml`, `catalogue`, `probe`, `table`."""


@dataclass(frozen=True, slots=True)
class Target(Record):
    """A remote model: all that is needed to ask it, except the key."""

    name: str
    """As users write it: `provider/name`."""
    provider: str
    model_id: str
    """As the provider calls it."""
    format: str
    """The wire format: `openai`, `anthropic`, `azure`."""
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; none of them is a secret."""
    account: str = ""
    """A fingerprint of the key: who is limited and billed. Empty without a key."""
    limits: Limits = Limits()
    price: Price = Price()
    capabilities: Capabilities = Capabilities()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    server_kind: str = ""
    """What kind of server it is, for what such servers tell of themselves: `ollama`, `vllm`, ..., `auto` to ask it;
    empty for a provider on the net, which is asked for nothing but answers."""
    trace: bool = False
    """Whether it is one of the user's own hops, to which the trace is passed on though it is not on this machine."""

    @property
    def is_local(self) -> bool:
        """Whether it is asked on this machine: calls to it cost nothing unless a price says otherwise."""
        return self.base_url.startswith(LOCAL_URLS)
