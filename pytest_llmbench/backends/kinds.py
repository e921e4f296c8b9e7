"""What kind a server is: said by llmbench.yaml, or asked of the server itself.

A kind is believed where the server shows two things that only this kind has, and no other kind's: many servers speak
others' languages. llama.cpp answers `/api/show`, KoboldCpp `/api/version` and `/props`, LocalAI's `/version` is vLLM's,
LM Studio answers any path with status 200. Where a kind is not clear nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.backends.llama_cpp import LlamaCpp
from pytest_llmbench.backends.lmstudio import LmStudio
from pytest_llmbench.backends.localai import LocalAi
from pytest_llmbench.backends.ollama import Ollama
from pytest_llmbench.backends.vllm import Vllm
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.lmstudio_api import LmStudioApi
from pytest_llmbench.clients.localai_api import LocalAiApi
from pytest_llmbench.clients.ollama_api import OllamaApi
from pytest_llmbench.clients.request import Endpoint
from pytest_llmbench.clients.vllm_api import VllmApi
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import Deadlines

AUTO = "auto"
BACKENDS: Mapping[str, type[Backend]] = MappingProxyType(
    {each.KIND: each for each in (Backend, LlamaCpp, LmStudio, LocalAi, Ollama, Vllm)}
)
PROBE = Deadlines(connect_s=3.0, ttft_s=5.0, idle_s=5.0, total_s=5.0)
"""Of one probe. A server that takes longer to say who it is has not said it."""
_NO_ANSWER = frozenset({Category.NETWORK_REFUSED, Category.NETWORK_DNS, Category.NETWORK_TLS, Category.TIMEOUT_CONNECT})
"""Who cannot be reached is not asked again: the measurement itself will say so."""


def backend_at(endpoint: Endpoint, deadlines: Deadlines, kind: str) -> Backend:
    """What a server is asked beside a measurement.

    Args:
        endpoint: where its model is asked.
        deadlines: of the calls beside a measurement.
        kind: `auto`, a key of `BACKENDS`; empty for a provider on the net, which is asked nothing.
    """
    if kind and kind != AUTO:
        return BACKENDS[kind](endpoint, deadlines)
    found = recognised(endpoint) if kind else []
    if len(found) == 1:
        return BACKENDS[found[0]](endpoint, deadlines)
    told = (
        f"the server answers as {' and as '.join(BACKENDS[each].TITLE for each in found)}: say `kind:` in llmbench.yaml"
    )
    return Backend(endpoint, deadlines, told if found else "")


def recognised(endpoint: Endpoint) -> list[str]:
    """The kinds whose marks the server shows: one, where all is well; none where it is of no kind that we know."""
    try:
        owners = {str(each.get("owned_by") or "") for each in LlamaApi(lambda: endpoint, PROBE).served()}
    except WireError as error:
        if error.category in _NO_ANSWER:
            return []
        owners = set()
    return [kind for kind, shows in _marks(endpoint, owners) if _is_so(shows)]


def _marks(endpoint: Endpoint, owners: set[str]) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Kind → whether the server shows its marks. Who names its maker among its models is asked for that one alone."""

    def here() -> Endpoint:
        return endpoint

    if "llamacpp" in owners:
        yield LlamaCpp.KIND, lambda: "total_slots" in LlamaApi(here, PROBE).props()
    elif "vllm" in owners:
        yield Vllm.KIND, lambda: bool(VllmApi(here, PROBE).version())
    else:
        ollama = OllamaApi(here, PROBE)
        yield Ollama.KIND, lambda: bool(ollama.version()) and ollama.greeting() == "Ollama is running"
        yield LmStudio.KIND, LmStudioApi(here, PROBE).is_spoken_here
        yield LocalAi.KIND, LocalAiApi(here, PROBE).is_spoken_here


def _is_so(shows: Callable[[], bool]) -> bool:
    try:
        return shows()
    except WireError:
        return False
