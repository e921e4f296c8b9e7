"""From `provider/model` to what has to be known to ask it, and its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlencode

from pytest_llmbench.config import OwnProviderDef, ProviderDef, Resolved
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.providers import prices
from pytest_llmbench.providers.catalogue import Catalogue
from pytest_llmbench.providers.facts import Facts, facts_of, laid_over, limits_of, price_of
from pytest_llmbench.providers.keys import Keyring, fingerprint
from pytest_llmbench.providers.table import PROVIDERS, Provider
from pytest_llmbench.records import Price, Target
from pytest_llmbench.secret import NO_KEY, Secret

_YAML = "llmbench.yaml"
_NOWHERE = "http://replayed.invalid"
"""The address of a provider that nobody asks."""
_OWN = Provider(needs_key=False)
"""A provider of llmbench.yaml: without `key_env` it wants no key."""


class Providers:
    """The remote models of a session.

    Args:
        resolved: settings and configuration.
        environ: the process environment; this process's where not given.
    """

    def __init__(self, resolved: Resolved, *, environ: Mapping[str, str] | None = None) -> None:
        self._config = resolved.config
        settings = resolved.settings
        self._is_asked = not (settings.replay or settings.dry_run)
        """Whether requests may go out: else nobody needs a key or an address."""
        self._may_lack_keys = bool(settings.rejudge)
        """Whether a model may be named that is not asked: who is, is checked by `check`."""
        self._offline = settings.offline or bool(settings.replay)
        self._environ = os.environ if environ is None else environ
        self._keys = Keyring(self._environ, resolved.rootdir)
        self._targets: dict[str, Target] = {}
        self._secrets: dict[str, Secret] = {}
        self._catalogues: dict[str, Catalogue] = {}
        self._names = frozenset({*self._config.servers, *self._config.providers, *PROVIDERS})

    def known(self) -> list[str]:
        """The names of all providers and servers."""
        return sorted(self._names)

    def is_remote(self, name: str) -> bool:
        """Whether the name's first part names a provider or a server; else it is a local model's name."""
        provider, model_id = _split(name)
        return bool(model_id) and provider in self._names

    def check(self, name: str) -> bool:
        """Whether `name` is a remote model, that can be asked; touches no network and runs no key_command.

        Raises:
            UsageError: it is one, and its key or address is missing.
        """
        if not self.is_remote(name):
            return False
        provider, _ = _split(name)
        if not self._command(provider):
            self.key(provider)
        self.base_url(provider)
        return True

    def target(self, name: str) -> Target | None:
        """All that is needed to ask `name`, except the key; None where it is a local model's name.

        The first one of a provider with a catalogue may fetch that (once in 24 h): not for an event loop's thread.

        Raises:
            UsageError: its key or address is missing.
        """
        if name not in self._targets:
            is_known = self.is_remote(name) if self._may_lack_keys else self.check(name)
            if not is_known:
                return None
            self._targets[name] = self._made(name)
        return self._targets[name]

    def key(self, of: Target | str) -> Secret:
        """The key of a provider or of a target's.

        Raises:
            UsageError: it needs one, and none is at hand.
        """
        provider = of if isinstance(of, str) else of.provider
        if provider not in self._secrets:
            self._secrets[provider] = self._found_key(provider)
        return self._secrets[provider]

    def unknown(self, name: str) -> str:
        """What to say of a name with a `/` whose first part names nothing: near names, and all of them."""
        provider, _ = _split(name)
        return f"providers: {', '.join(self.known())}{did_you_mean(provider, self.known())}"

    def has_catalogue(self, provider: str) -> bool:
        """Whether it publishes what its models cost and take."""
        return self._row(provider).catalogue

    def catalogue(self, provider: str) -> Catalogue | None:
        """What the provider publishes of its models; None where it does not."""
        if not self.has_catalogue(provider):
            return None
        if provider not in self._catalogues:
            self._catalogues[provider] = Catalogue(provider, self.base_url(provider), offline=self._offline)
        return self._catalogues[provider]

    def declared(self) -> list[str]:
        """The models that llmbench.yaml names."""
        return [f"{name}/{model}" for name, provider in self._config.providers.items() for model in provider.models]

    def facts(self, name: str) -> Facts:
        """What is known of a model. The strongest source first: llmbench.yaml, the catalogue, our own table."""
        provider, model_id = _split(name)
        model = self._definition(provider).models.get(model_id)
        sources = [facts_of(model, _YAML), Facts(self._price_by_pattern(name))]
        catalogue = self.catalogue(provider)
        if catalogue is not None and (found := catalogue.facts(model_id)) is not None:
            sources.append(found)
        if provider not in self._config.servers and not self._moved(provider):
            sources.append(prices.facts(provider, model_id))
        return laid_over(sources)

    def base_url(self, provider: str) -> str:
        """Where the provider is asked.

        Raises:
            UsageError: nobody told.
        """
        definition, row = self._definition(provider), self._row(provider)
        url = definition.url or row.base_url or self._environ.get(row.url_env, "").rstrip("/")
        if not url and not self._is_asked:
            return _NOWHERE
        if not url:
            raise UsageError(
                f"the provider {provider!r} has no address",
                hint=f"set `providers: {{{provider}: {{url: ...}}}}` in llmbench.yaml"
                + (f", or ${row.url_env}" if row.url_env else ""),
            )
        return f"{url}?{urlencode({'api-version': definition.api_version})}" if definition.api_version else url

    def format(self, provider: str) -> str:
        """The provider's wire format."""
        return self._definition(provider).format or self._row(provider).format

    def _made(self, name: str) -> Target:
        provider, model_id = _split(name)
        definition = self._definition(provider)
        model = definition.models.get(model_id)
        facts = self.facts(name)
        return Target(
            name=name,
            provider=provider,
            model_id=model_id,
            format=self.format(provider),
            base_url=self.base_url(provider),
            headers=definition.headers,
            account=self._account(provider),
            limits=limits_of((model.limits if model else None) or definition.limits),
            price=facts.price,
            capabilities=facts.capabilities,
            context_tokens=facts.context_tokens,
            max_output_tokens=facts.max_output_tokens,
            server_kind=self._server_kind(provider),
            trace=definition.trace,
        )

    def _server_kind(self, provider: str) -> str:
        server = self._config.servers.get(provider)
        return self._row(provider).server_kind if server is None else server.kind

    def _account(self, provider: str) -> str:
        try:
            return fingerprint(self.key(provider))
        except UsageError:
            if not self._may_lack_keys:
                raise
            return ""

    def _price_by_pattern(self, name: str) -> Price:
        found = (price for pattern, price in self._config.prices.items() if fnmatchcase(name, pattern))
        return price_of(next(found, None), _YAML)

    def _definition(self, provider: str) -> ProviderDef:
        if (server := self._config.servers.get(provider)) is not None:
            return ProviderDef(url=server.url, key_env=server.key_env, trace=server.trace)
        return self._config.providers.get(provider, ProviderDef())

    def _row(self, provider: str) -> Provider:
        return _OWN if provider in self._config.servers else PROVIDERS.get(provider, _OWN)

    def _moved(self, provider: str) -> bool:
        """Whether a built-in provider's requests go to another address than its own."""
        url, row = self._definition(provider).url, self._row(provider)
        usual = row.base_url or self._environ.get(row.url_env, "")
        return bool(url and usual) and _plain(url or "") != _plain(usual)

    def _command(self, provider: str) -> tuple[str, ...]:
        """The user's own key_command; empty where there is none, or nothing is asked."""
        definition = self._definition(provider)
        if not (self._is_asked and isinstance(definition, OwnProviderDef)):
            return ()
        return definition.key_command or ()

    def _found_key(self, provider: str) -> Secret:
        definition, row = self._definition(provider), self._row(provider)
        # A built-in provider's key goes to its own address alone, so another address has to name its own.
        usual = () if self._moved(provider) else row.key_env
        variables = (definition.key_env,) if definition.key_env else usual
        if key := self._keys.find(variables, self._command(provider)):
            return key
        if self._is_asked and (definition.key_env or (row.needs_key and not self._moved(provider))):
            raise self._no_key(provider, variables)
        return NO_KEY

    def _no_key(self, provider: str, variables: tuple[str, ...]) -> UsageError:
        named = " or ".join(f"${name}" for name in variables)
        if provider in self._config.servers:
            url = self._config.servers[provider].url
            return UsageError(f"the server {url} needs its key in {named}, which is not set")
        return UsageError(
            f"the provider {provider!r} needs its key in {named}, which is not set",
            hint=f"set it in the environment or in {self._keys.env_path}, or name a key_command in your own "
            "configuration; without a key, demo/… models answer everything",
        )


def _split(name: str) -> tuple[str, str]:
    provider, _, model_id = name.partition("/")
    return provider, model_id


def _plain(url: str) -> str:
    """An address by which two ways to write it compare equal."""
    return url.rstrip("/").removesuffix("/v1").lower()
