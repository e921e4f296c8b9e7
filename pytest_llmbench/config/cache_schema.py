"""The section of llmbench.yaml about the response cache: where replies lie, for how long, how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from pytest_llmbench.config import fields
from pytest_llmbench.config.provider_schema import Variable
from pytest_llmbench.config.semantic_schema import SEMANTIC_TEXT, SemanticDef
from pytest_llmbench.config.strict import NO_KEYS, Strict, problem
from pytest_llmbench.option_kinds import DURATION

CACHE_TEXT = "the response cache, for runs that ask for one (`--cache on`)"
_DURATION = dict(DURATION.schema)
_SIZE = {"type": ["integer", "string"], "pattern": fields.SIZE}


class CacheDef(Strict):
    """Where replies are kept that may be given again, and for how long."""

    refused: ClassVar[Mapping[str, str]] = {
        **NO_KEYS,
        "url": "may hold a password, and this file is shared; put it into an environment variable and name that: "
        "url_env: REDIS_URL",
    }
    backend: Literal["sqlite", "redis"] = Field(
        default="sqlite",
        description="`sqlite`: a file in the results folder; `redis`: a server that several machines share (extra "
        "`redis`)",
    )
    url_env: Variable = Field(
        default="REDIS_URL", description="name of the environment variable that holds the address of the Redis server"
    )
    key_env: Variable | None = Field(
        default=None,
        description="name of the environment variable that holds a secret by which entries are signed, for a Redis "
        "server that others may write to",
    )
    ttl: Annotated[str, PlainValidator(fields.duration), WithJsonSchema(_DURATION)] = Field(
        default="7d", description="how old a reply may be that is given again: 90 (seconds), 12h, 30d"
    )
    max_size: Annotated[str, PlainValidator(fields.size), WithJsonSchema(_SIZE)] = Field(
        default="1GiB",
        description="how large the file may become; what was used longest ago goes first. A Redis server has its own "
        "limit",
    )

    semantic: SemanticDef | None = Field(default=None, description=SEMANTIC_TEXT)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> CacheDef:
        if self.key_env and self.backend == "sqlite":
            raise problem("only what lies in Redis is signed: nobody else may write into the file", "key_env")
        return self

    def is_semantic_for(self, role: str) -> bool:
        """Whether questions of a role (`chat`, `judge`) may get the reply to one alike."""
        return self.semantic is not None and role in self.semantic.asking

    @property
    def ttl_s(self) -> float:
        return float(DURATION(self.ttl))

    @property
    def max_size_bytes(self) -> int:
        return fields.size_bytes(self.max_size)
