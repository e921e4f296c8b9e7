"""The table of validators, by the names that use cases call them. A validator's module loads when it is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from pytest_llmbench.errors import UsageError
from pytest_llmbench.validators.scorer import Validator

HOMES: Mapping[str, tuple[str, ...]] = {
    "plain": (
        "exact",
        "iexact",
        "contains",
        "contains-any",
        "icontains",
        "icontains-any",
        "starts-with",
        "ends-with",
    ),
    "combined": ("any", "all", "weighted"),
    "checked": ("check", "number", "one-of", "choice", "yes-no"),
    "regexes": ("regex", "regex-on-examples"),
    "json_text": ("is-json", "json", "json-schema"),
    "json_fields": ("json-fields",),
    "csv_table": ("csv",),
    "label_set": ("labels",),
    "tools": ("tool-calls",),
    "measured": ("latency", "ttft", "cost", "tokens", "tokens-per-second", "finish-reason"),
    "sql": ("sql",),
    "execute": ("execute",),
    "closeness": (
        "f1",
        "rouge-1",
        "rouge-2",
        "rouge-l",
        "bleu",
        "chrf",
        "edit-similarity",
        "word-error-rate",
        "character-error-rate",
    ),
    "embedding": ("similarity",),
    "guards": ("grounded", "grounded-numbers", "grounded-names", "grounded-dates", "grounded-timestamps"),
    "time_ranges": ("timestamps", "durations"),
    "citing": ("quotes", "citations"),
    "sizes": ("length", "readability"),
    "speech": ("language", "sentiment"),
    "refusing": ("refusal",),
    "word_lists": ("banned-words",),
    "personal_data": ("no-personal-data",),
    "rating": ("rating",),
}
"""Module of this package → the validators in its `TABLE`."""


class _Table(Mapping[str, Validator]):
    """Names are known at once; a module is imported when one of its validators is asked for."""

    def __init__(self, homes: Mapping[str, tuple[str, ...]]) -> None:
        self._modules = {name: module for module, names in homes.items() for name in names}
        self._loaded: dict[str, Validator] = {}

    def __getitem__(self, name: str) -> Validator:
        if name not in self._loaded:
            module = import_module(f"pytest_llmbench.validators.{self._modules[name]}")
            for validator in module.TABLE:
                self._loaded.setdefault(validator.name, validator)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._modules, *self._loaded]))

    def __len__(self) -> int:
        return len(set(self._modules) | set(self._loaded))

    def add(self, validator: Validator) -> None:
        """Put one more into the table.

        Raises:
            UsageError: there is one of this name.
        """
        if validator.name in self or validator.name.startswith("not-"):
            raise UsageError(
                f"a validator {validator.name!r} cannot be registered", hint="the name is taken, or begins with 'not-'"
            )
        self._loaded[validator.name] = validator


VALIDATORS = _Table(HOMES)
