"""The sections of llmbench.yaml about models that are asked over the network: providers, prices, budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from pytest_llmbench.config import fields
from pytest_llmbench.config.strict import CLOSED, NO_KEYS, Name, Strict, problem

_AMOUNT = {"type": ["number", "string"]}
_COMMAND = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Usd = Annotated[str, PlainValidator(fields.usd), WithJsonSchema(_AMOUNT)]
PerMillion = Annotated[str, PlainValidator(fields.usd_per_million), WithJsonSchema(_AMOUNT)]
Pattern = Annotated[str, AfterValidator(fields.model_pattern)]
Variable = Annotated[
    str, AfterValidator(fields.variable), Field(json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
]


class PriceDef(Strict):
    """What a model costs."""

    input: PerMillion = Field(description="US dollars for a million prompt tokens; 0 for nothing")
    output: PerMillion = Field(description="US dollars for a million completion tokens")
    cached: PerMillion | None = Field(
        default=None, description="US dollars for a million prompt tokens read from the cache (default: `input`)"
    )
    cache_write: PerMillion | None = Field(
        default=None, description="US dollars for a million prompt tokens written to the cache (default: `input`)"
    )
    reasoning: PerMillion | None = Field(
        default=None, description="US dollars for a million reasoning tokens (default: `output`)"
    )
    request: Usd | None = Field(default=None, description="US dollars for a request by itself")


class LimitsDef(Strict):
    """What an account may do with a model; what the provider's headers say goes on top."""

    requests_per_minute: float | None = Field(default=None, gt=0, description="requests begun within a minute")
    tokens_per_minute: float | None = Field(default=None, gt=0, description="prompt and completion tokens together")
    concurrency: int | None = Field(default=None, ge=1, description="requests under way at once")


class CapabilitiesDef(Strict):
    """What a model takes; what is left out is looked up, or tried once."""

    images: bool | None = Field(default=None, description="pictures within messages")
    audio: bool | None = Field(default=None, description="sound within messages")
    tools: bool | None = Field(default=None, description="`tools`")
    json_schema: bool | None = Field(default=None, description="`response_format` with a JSON schema")
    seed: bool | None = Field(default=None, description="`seed`")
    logprobs: bool | None = Field(default=None, description="`logprobs`")
    system: bool | None = Field(default=None, description="a system message")
    reasoning: bool | None = Field(default=None, description="`reasoning`, `reasoning_effort` or `thinking`")
    temperature: bool | None = Field(default=None, description="`temperature`")


class RemoteModelDef(Strict):
    """What is known of one model of a provider."""

    price: PriceDef | None = Field(default=None, description="what it costs")
    capabilities: CapabilitiesDef = Field(default=CapabilitiesDef(), description="what it takes")
    limits: LimitsDef | None = Field(default=None, description="in place of the provider's limits")
    context_tokens: int | None = Field(default=None, ge=1, description="prompt and answer together")
    max_output_tokens: int | None = Field(default=None, ge=1, description="the longest answer it can give")


class ProviderDef(Strict):
    """Who is asked as `provider/model`; one of the built-in names changes that provider."""

    refused: ClassVar[Mapping[str, str]] = {
        **NO_KEYS,
        "key_command": "names a program to run, and a project's files may not choose what is executed; put it into "
        "your own configuration (`llmbench doctor` tells where that is)",
    }
    url: Annotated[str, AfterValidator(fields.provider_url)] | None = Field(
        default=None,
        description="http:// or https:// address as the provider's documentation gives it, with its /v1 or without",
        json_schema_extra={"pattern": "^https?://"},
    )
    format: Literal["openai", "anthropic", "azure"] | None = Field(
        default=None, description="the wire format (default: openai)"
    )
    key_env: Variable | None = Field(
        default=None, description="name of the variable, in the environment or in `.env`, that holds the API key"
    )
    headers: dict[str, str] = Field(default={}, description="sent with every request; never a key")
    api_version: str | None = Field(
        default=None, min_length=1, description="Azure: the api-version of the deployments form of its addresses"
    )
    trace: bool = Field(
        default=False, description="send the trace (W3C `traceparent`) along with requests: for gateways of your own"
    )
    limits: LimitsDef | None = Field(default=None, description="of each of its models")
    models: dict[Annotated[str, AfterValidator(fields.model_id)], RemoteModelDef] = Field(
        default={}, description="model as the provider calls it → what is known of it"
    )

    @model_validator(mode="after")
    def _headers_hold_no_key(self) -> ProviderDef:
        for name in self.headers:
            if fields.carries_a_key(name):
                raise problem(f"{name}: {NO_KEYS['key']}", "headers")
        return self


class OwnProviderDef(ProviderDef):
    """A provider in the user's own configuration."""

    refused: ClassVar[Mapping[str, str]] = NO_KEYS
    key_command: Annotated[tuple[str, ...] | None, PlainValidator(fields.command), WithJsonSchema(_COMMAND)] = Field(
        default=None, description="a command whose first line of output is the key; run without a shell"
    )


class BudgetDef(Strict):
    """The most that API calls may cost; nothing is asked beyond it."""

    run: Usd | None = Field(default=None, description="US dollars for a run; --max-cost goes before it")
    models: dict[Pattern, Usd] = Field(default={}, description="models (glob) → US dollars in a run, all together")
    use_cases: dict[str, Usd] = Field(default={}, description="use case → US dollars in a run")


Providers = Annotated[dict[Name, ProviderDef], Field(json_schema_extra=CLOSED)]
Prices = dict[Pattern, PriceDef]
PROVIDERS_TEXT = "providers of models, on top of the built-in ones; tests name their models provider/model"
PRICES_TEXT = "models (glob over provider/model, the first that matches) → what they cost"
BUDGET_TEXT = "what API calls of a run may cost"


class OwnConfig(Strict):
    """The user's own llmbench.yaml: what a project's says goes before it."""

    model_config = ConfigDict(title="The user's own configuration")
    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "models",
            "servers",
            "server_settings",
            "gates",
            "thresholds",
            "ratings",
            "grades",
            "machine",
            "routes",
            "alerts",
            "defaults",
        ),
        "belongs into a project's llmbench.yaml; your own holds providers, prices and budget",
    )
    providers: dict[Name, OwnProviderDef] = Field(default={}, description=PROVIDERS_TEXT)
    prices: Prices = Field(default={}, description=PRICES_TEXT)
    budget: BudgetDef = Field(default=BudgetDef(), description=BUDGET_TEXT)


def merged_provider(own: ProviderDef, projects: ProviderDef) -> ProviderDef:
    """What both files say of one provider; the project's goes first.

    Where the project's file gives another address, nothing of the user's key goes there: neither its command nor the
    variable that holds it.
    """
    said: dict[str, Any] = {name: getattr(own, name) for name in own.model_fields_set}
    moved = projects.url is not None and projects.url != own.url
    if moved:
        said = {name: value for name, value in said.items() if name not in {"key_env", "key_command", "headers"}}
    said |= {name: getattr(projects, name) for name in projects.model_fields_set}
    if not moved:
        said["headers"] = {**own.headers, **projects.headers}
    said["models"] = {**own.models, **projects.models}
    return OwnProviderDef.model_construct(_fields_set=set(said), **said)
