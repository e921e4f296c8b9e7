"""A provider on this machine, scripted or rule-based: for users without keys, and for our own tests.

with DemoProvider(script=[Answer("Paris."), Failure(429, "slow down")]) as provider:
    ...  # ask provider.url; provider.log says what was received and sent, and when
"""

from pytest_llmbench.demo.background import background, end_background
from pytest_llmbench.demo.calls import Call, Counts, Sent
from pytest_llmbench.demo.provider import DemoProvider
from pytest_llmbench.demo.script import Answer, ChatBody, Failure, Reaction
from pytest_llmbench.demo.steps import Close, Event, Page, Raw, Reset, Step, Wait

__all__ = [
    "Answer",
    "Call",
    "ChatBody",
    "Close",
    "Counts",
    "DemoProvider",
    "Event",
    "Failure",
    "Page",
    "Raw",
    "Reaction",
    "Reset",
    "Sent",
    "Step",
    "Wait",
    "background",
    "end_background",
]
