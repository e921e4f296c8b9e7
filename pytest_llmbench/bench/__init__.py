"""Drive one model with a profile's load → a measurement, every repetition stored the moment it completes."""

from pytest_llmbench.bench.account import failed_attempt
from pytest_llmbench.bench.beginning import measurement_key
from pytest_llmbench.bench.measuring import measure
from pytest_llmbench.bench.planned import Conclusion, Load, Planned, Timed
from pytest_llmbench.bench.profile import Profile
from pytest_llmbench.bench.stand import Stand
from pytest_llmbench.bench.subject import Book, Subject

__all__ = [
    "Book",
    "Conclusion",
    "Load",
    "Planned",
    "Profile",
    "Stand",
    "Subject",
    "Timed",
    "failed_attempt",
    "measure",
    "measurement_key",
]
