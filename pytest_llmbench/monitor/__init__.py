"""What the machine and the server are doing beside a measurement, and whether others disturb it.

Everything here only reads. What a machine does not tell is absent, with the reason.
"""

from pytest_llmbench.monitor.contention import advise, collapsed, usable_cores
from pytest_llmbench.monitor.foreign import Foreign, ForeignMeter, Reading, foreign
from pytest_llmbench.monitor.process_meter import ProcessMeter
from pytest_llmbench.monitor.sampler import Monitor

__all__ = [
    "Foreign",
    "ForeignMeter",
    "Monitor",
    "ProcessMeter",
    "Reading",
    "advise",
    "collapsed",
    "foreign",
    "usable_cores",
]
