"""A scripted OpenAI-compatible provider on this machine: for users without keys, and for our own tests.

with DemoProvider(script=[Answer("Paris."), Failure(429, "slow down")]) as provider:
    ...  # ask provider.url; provider.log says what was received and sent, and when
"""

from pytest_llmbench.demo.provider import Call, DemoProvider, Sent
from pytest_llmbench.demo.script import (
    Answer,
    ChatBody,
    Close,
    Event,
    Failure,
    Page,
    Raw,
    Reaction,
    Reset,
    Step,
    Wait,
)

__all__ = [
    "Answer",
    "Call",
    "ChatBody",
    "Close",
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
]
