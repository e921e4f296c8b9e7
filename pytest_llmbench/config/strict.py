"""What all sections of llmbench.yaml are made of: mappings that know every one of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pytest_llmbench.config import fields
from pytest_llmbench.errors import did_you_mean

Name = Annotated[str, AfterValidator(fields.name), Field(json_schema_extra={"pattern": fields.NAME})]
CLOSED: dict[str, Any] = {"additionalProperties": False}
"""For mappings by name: pydantic's schema would let every name pass that does not match the pattern."""
NO_KEYS: Mapping[str, str] = dict.fromkeys(
    ("key", "api_key", "apikey", "token", "password", "secret"),
    "a key does not belong into a file that is shared; put it into an environment variable and name that: "
    "key_env: LAB_KEY",
)


class Strict(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    refused: ClassVar[Mapping[str, str]] = {}
    """Keys people try, and why they are not there."""

    @model_validator(mode="before")
    @classmethod
    def _knows_every_key(cls, data: Any) -> Any:
        allowed = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, dict) else ():
            if key in cls.refused:
                raise problem(cls.refused[key], key)
            if key not in allowed:
                raise problem(f"unknown key{did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})", key)
        return data


def problem(message: str, *keys: str | int) -> PydanticCustomError:
    """An error at a key of the mapping being validated, or at what stands below it: `"criteria", 2, "weight"`."""
    return PydanticCustomError("llmbench", "{message}", {"message": message, "keys": keys})
