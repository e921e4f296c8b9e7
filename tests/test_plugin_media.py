"""Pictures in datasets, from the file to the provider; and models that do not take them."""

from __future__ import annotations

import base64

import media_files
import pytest

from pytest_llmbench.demo import Answer, DemoProvider

SUITE = """
    import pytest

    @pytest.mark.models("lab/m")
    @pytest.mark.dataset("rows.jsonl", media="pic")
    def test_answer(reply):
        assert reply.text == "red"
"""


def project(pytester: pytest.Pytester, provider: DemoProvider, capabilities: str = "") -> None:
    """A picture, a row that names it, and a provider."""
    pytester.path.joinpath("red.png").write_bytes(media_files.png())
    pytester.path.joinpath("rows.jsonl").write_text('{"id": "red", "input": "Which colour?", "pic": "red.png"}\n')
    models = f", models: {{m: {{capabilities: {{{capabilities}}}}}}}" if capabilities else ""
    pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  lab: {{url: '{provider.url}'{models}}}\n")
    pytester.makepyfile(SUITE)


def test_a_picture_beside_a_dataset_reaches_the_model(pytester: pytest.Pytester) -> None:
    """As a part of the user's message, behind its text."""
    with DemoProvider(Answer("red")) as provider:
        project(pytester, provider, "images: true")
        result = pytester.runpytest_subprocess()
        [call] = provider.chats()
    assert result.ret == 0, result.stdout.str()
    text, picture = call.body["messages"][0]["content"]
    assert text == {"type": "text", "text": "Which colour?"}
    assert base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == media_files.png()


def test_a_model_that_takes_no_pictures_is_never_asked(pytester: pytest.Pytester) -> None:
    """The error names the model and who said so."""
    with DemoProvider(Answer("red")) as provider:
        project(pytester, provider, "images: false")
        result = pytester.runpytest_subprocess()
        assert provider.chats() == []
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*lab/m does not take images*nothing was asked*"])


def test_a_picture_that_is_none_is_told_when_tests_are_collected(pytester: pytest.Pytester) -> None:
    """With the row that names it."""
    with DemoProvider(Answer("red")) as provider:
        project(pytester, provider)
        pytester.path.joinpath("red.png").write_bytes(b"GIF89a nonsense")
        result = pytester.runpytest_inprocess()
        assert provider.chats() == []
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*rows.jsonl:1: 'pic': *red.png ends in .png and is a gif file*"])
