"""Who answers under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmbench.chat.speaking import ModelSpeaker, Speaker
from pytest_llmbench.config.route_schema import is_route

if TYPE_CHECKING:
    from pytest_llmbench.session import Session


def speaker_of(session: Session, name: str) -> Speaker:
    """Who answers under a name: a model, or a route.

    Raises:
        UsageError: nobody knows it, or its key is missing.
        ModelFileError: its file cannot be had.
    """
    if is_route(name):
        from pytest_llmbench.chat.routed import RouteSpeaker  # noqa: PLC0415 - few chats go by a route

        return RouteSpeaker(session, name)
    return ModelSpeaker(session, name)
