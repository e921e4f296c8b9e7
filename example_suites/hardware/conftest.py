"""The models that this machine is measured with; name your own here, or a server's (`server/model`)."""

import pytest

MODELS = ["smollm2-135m:Q4_1", "gemma3-270m:Q4_K_M"]


@pytest.fixture(scope="module", params=MODELS)
def subject(request):
    """One model after the other; each file measures each of them once."""
    return request.param
