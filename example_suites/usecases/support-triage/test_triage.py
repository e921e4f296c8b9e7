"""What a page cannot say. Nothing is asked again: `reply` is the one that the page's own tests got."""

import pytest


@pytest.mark.usecase
@pytest.mark.models("demo/careful")
def test_nothing_urgent_waits(reply, sample):
    assert reply.json["urgent"] or not sample.expected["urgent"]
