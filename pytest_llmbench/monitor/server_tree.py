"""Memory and CPU time of the measured server's process tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_llmbench import clock
from pytest_llmbench.monitor.process_meter import ProcessMeter

USS_SHARE = 0.0002
"""Of a core that reading the unshared memory may take: its cost grows with the server's size, so it becomes rarer."""
_GONE = "no process on this machine: the server is not ours, or it is gone"


class ServerTree:
    """Readings `rss_bytes`, `uss_bytes` and `server_cpu_s`; the server may end and come back as another process.

    Args:
        pid: the server's process now; None while there is none.
    """

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self.missing: dict[str, str] = {}
        self._pid = pid
        self._meter: ProcessMeter | None = None
        self._began_cpu_s: float | None = None
        self._last_cpu_s = 0.0
        self._earlier_cpu_s = 0.0
        """Of servers that have ended."""
        self._uss_after_s = float("-inf")

    def read(self, at_s: float) -> Mapping[str, float]:
        meter = self._current()
        if meter is None or (rss := meter.rss_bytes()) is None:
            self.missing = dict.fromkeys(("rss_bytes", "uss_bytes", "server_cpu_s"), _GONE)
            return {}
        self.missing = {}
        return {"rss_bytes": float(rss), **self._cpu(meter), **self._uss(meter, at_s)}

    def close(self) -> None:
        """Nothing is held."""

    def _current(self) -> ProcessMeter | None:
        pid = self._pid()
        if pid is None:
            return None
        if self._meter is None or self._meter.pid != pid:
            self._earlier_cpu_s += self._last_cpu_s
            self._meter, self._began_cpu_s, self._last_cpu_s = ProcessMeter(pid), None, 0.0
            self._uss_after_s = float("-inf")
        return self._meter

    def _cpu(self, meter: ProcessMeter) -> dict[str, float]:
        """CPU seconds since the monitor first saw a server; never falls."""
        used = meter.cpu_s()
        if used is None:
            self.missing["server_cpu_s"] = _GONE
            return {}
        if self._began_cpu_s is None:
            self._began_cpu_s = used
        self._last_cpu_s = used - self._began_cpu_s
        return {"server_cpu_s": self._earlier_cpu_s + self._last_cpu_s}

    def _uss(self, meter: ProcessMeter, at_s: float) -> dict[str, float]:
        if at_s < self._uss_after_s:
            return {}
        before_s = clock.thread_cpu_s()
        uss = meter.uss_bytes()
        self._uss_after_s = at_s + (clock.thread_cpu_s() - before_s) / USS_SHARE
        if uss is None:
            self.missing["uss_bytes"] = "the server's memory map is not ours to read"
            return {}
        return {"uss_bytes": float(uss)}
