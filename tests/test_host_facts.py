"""Who this machine is."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from pytest_llmbench.records import Gpu, Host
from pytest_llmbench.servers import container, host

GIB = 1 << 30


def test_this_machine_is_described() -> None:
    """Every fact that a report shows is there, in builtin types."""
    facts = host.describe()
    assert facts.cpu_model
    assert facts.logical_cores == psutil.cpu_count()
    assert facts.memory_bytes == psutil.virtual_memory().total
    assert facts.swap_bytes is not None
    assert facts.python.endswith(".".join(map(str, sys.version_info[:3])))
    assert len(facts.fingerprint) == 12
    assert Host.from_dict(json.loads(json.dumps(facts.as_dict()))) == facts


def test_no_name_of_the_machine_is_stored() -> None:
    """Results are shared; who they came from is not in them."""
    import platform

    assert platform.node() not in json.dumps(host.describe().as_dict()).split('"')


@pytest.mark.parametrize(
    ("cpuinfo", "named"),
    [
        ("processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\n", "AMD EPYC 7B13"),
        ("processor\t: 0\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 5\n", "BCM2835"),
        ("processor\t: 0\nmodel name\t: \nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
        ("processor\t: 0\nCPU implementer\t: 0x41\n", ""),
    ],
)
def test_the_cpu_is_named_as_its_kernel_names_it(cpuinfo: str, named: str) -> None:
    """x86 and ARM write different keys; where there is no name there is none."""
    assert host._cpu_model_of(cpuinfo) == named


ONE = Host("A  CPU", "x86_64", "Linux 6.1 (Debian)", "CPython 3.11.2", 4, 8, 16 * GIB, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 16 * GIB - 5_000_000},
        {"cpu_model": "A CPU "},
        {"python": "CPython 3.13.1"},
        {"os": "Linux 6.8 (Ubuntu)"},
        {"swap_bytes": 4 * GIB},
        {"gpu_note": "NVML not present"},
    ],
)
def test_the_fingerprint_survives_what_does_not_change_speed(change: dict[str, object]) -> None:
    """A machine keeps its history over a reboot, an upgrade of Python or of the kernel."""
    assert host.fingerprint(dataclasses.replace(ONE, **change)) == host.fingerprint(ONE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_model": "Another CPU"},
        {"architecture": "aarch64"},
        {"os": "Darwin 23.5"},
        {"physical_cores": 2},
        {"logical_cores": 4},
        {"memory_bytes": 8 * GIB},
        {"container_cpus": 1.5},
        {"container_memory_bytes": 4 * GIB},
        {"gpus": (Gpu("A card", 24 * GIB),)},
    ],
)
def test_the_fingerprint_tells_unlike_machines_apart(change: dict[str, object]) -> None:
    """Numbers of these are never compared silently."""
    assert host.fingerprint(dataclasses.replace(ONE, **change)) != host.fingerprint(ONE)  # type: ignore[arg-type]


class NvmlError(Exception):
    """As pynvml raises it."""


def nvml(cards: list[tuple[str | bytes, int]], *, broken: str = "") -> ModuleType:
    """A stand-in for the pynvml module: no card is in the machines that run these tests."""

    def refuse(*_args: object) -> None:
        raise NvmlError("Driver Not Loaded")

    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NvmlError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: b"550.54",
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=lambda index: cards[index],
        nvmlDeviceGetName=lambda card: card[0],
        nvmlDeviceGetMemoryInfo=lambda card: SimpleNamespace(total=card[1]),
    )
    if broken:
        setattr(module, broken, refuse)
    return module


def test_cards_are_named_by_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old bindings give bytes, new ones text."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml([("NVIDIA H200", 141 * GIB), (b"NVIDIA T4", 15 * GIB)]))
    facts = host.describe()
    assert facts.gpus == (Gpu("NVIDIA H200", 141 * GIB, "550.54"), Gpu("NVIDIA T4", 15 * GIB, "550.54"))
    assert facts.gpu_note == ""


@pytest.mark.parametrize(
    ("module", "note"),
    [
        (None, "pynvml is not installed"),
        (nvml([], broken="nvmlInit"), "NVML not present: Driver Not Loaded"),
        (nvml([("x", 1)], broken="nvmlDeviceGetName"), "NVML does not answer: Driver Not Loaded"),
        (nvml([]), "NVML knows no GPU"),
    ],
)
def test_where_no_card_is_found_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None, note: str
) -> None:
    """No GPU and could not ask are different things."""
    monkeypatch.setitem(sys.modules, "pynvml", module)
    facts = host.describe()
    assert facts.gpus == ()
    assert note in facts.gpu_note


def test_available_memory_is_no_more_than_the_container_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit counts before the machine's free memory."""
    monkeypatch.setattr(container, "limits", lambda: container.Limits(memory_available_bytes=1000))
    assert host.available_memory_bytes() == 1000
    monkeypatch.setattr(container, "limits", container.Limits)
    assert 0 < host.available_memory_bytes() <= psutil.virtual_memory().total


def tree(root: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_limits_of_a_version_2_group_are_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    """A limit of the parent binds the child; what can be dropped from memory counts as free."""
    mount = tree(
        tmp_path,
        {
            "proc": "0::/pod/box\n",
            "pod/cpu.max": "150000 100000\n",
            "pod/box/cpu.max": "max 100000\n",
            "pod/memory.max": "max\n",
            "pod/box/memory.max": "1000000\n",
            "pod/box/memory.current": "700000\n",
            "pod/box/memory.stat": "anon 100\ninactive_file 200000\n",
        },
    )
    assert container.limits(mount / "proc", mount) == container.Limits(1.5, 1_000_000, 500_000)


def test_limits_of_version_1_groups_are_read(tmp_path: Path) -> None:
    """Each controller has its own tree; a number near 2^63 is no limit."""
    mount = tree(
        tmp_path,
        {
            "proc": "4:memory:/box\n2:cpu,cpuacct:/box\n1:name=systemd:/\n",
            "cpu,cpuacct/box/cpu.cfs_quota_us": "50000\n",
            "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/box/memory.limit_in_bytes": "4096000\n",
            "memory/box/memory.usage_in_bytes": "96000\n",
        },
    )
    assert container.limits(mount / "proc", mount) == container.Limits(0.5, 4_096_000, 4_000_000)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc": "0::/\n"},
        {"proc": "0::/\n", "cpu.max": "max 100000", "memory.max": "max"},
        {"proc": "2:cpu:/\n", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        {"proc": "nonsense\n0::../../x\n", "cpu.max": "what\n", "memory.max": ""},
    ],
)
def test_where_nothing_is_limited_nothing_is_told(tmp_path: Path, files: dict[str, str]) -> None:
    """No group, no limit and no sense all read as not limited."""
    mount = tree(tmp_path, files)
    assert container.limits(mount / "proc", mount) == container.Limits()


def test_in_a_container_the_group_is_the_root_of_what_is_mounted(tmp_path: Path) -> None:
    """The process may be told a path that only the machine outside can see."""
    mount = tree(tmp_path, {"proc": "0::/docker/abc\n", "cpu.max": "200000 100000\n"})
    assert container.limits(mount / "proc", mount).cpus == 2.0
