"""One file a sample: what each kind becomes, and what is told of files that are none."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import media_files
import pytest

from pytest_llmbench import datasets
from pytest_llmbench.clients.anthropic_messages import conversation
from pytest_llmbench.datasets import frames, media, pdf
from pytest_llmbench.errors import MissingExtraError, UsageError


def told(path: Path) -> str:
    """The error of a file that is refused."""
    with pytest.raises(UsageError) as refused:
        datasets.document(path)
    return str(refused.value)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.srt", "a.sql", "a.unheard-of"])
def test_a_file_that_is_no_other_kind_is_its_text(tmp_path, name):
    """Without a byte order mark, and with plain line ends."""
    file = tmp_path / name
    file.write_bytes("\ufeffZeile 1\r\nZeile 2: ä\n".encode())
    assert datasets.document(file) == "Zeile 1\nZeile 2: ä\n"


def test_json_stays_the_text_that_it_is(tmp_path):
    """As it was written: the order of keys and the digits of numbers may matter."""
    file = tmp_path / "a.json"
    file.write_text('{"b": 1.50, "a": null}')
    assert datasets.document(file) == '{"b": 1.50, "a": null}'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"first\n\xff\xfe", "a.txt:2: not UTF-8"),
        ("a.txt", b"a\n\nb\0", "a.txt:3: there is a NUL character"),
        ("a.txt", b"", "a.txt is empty"),
        ("a.txt", b" \n\t\n", "a.txt holds no text"),
        ("a.json", b'{\n"a": 1,\n}', "a.json:3: not JSON"),
        ("a.json", b"[" * 200_000, "a.json: the JSON is nested too deeply"),
        ("a.png", b"GIF89a........", "a.png ends in .png and is a gif file by its first bytes"),
        ("a.jpg", b"nothing at all", "a.jpg ends in .jpg and is nothing that is known here"),
        ("a.wav", media_files.png(), "a.wav ends in .wav and is a png file"),
        ("a.pdf", b"%PDF-1.4\ngarbage", "a.pdf cannot be read as PDF"),
        ("a.pdf", media_files.pdf(["", ""]), "a.pdf holds no text"),
        ("a.mp4", b"no video at all", "a.mp4 cannot be read as a video"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path, name, content, said):
    """The line, too, where there is one."""
    file = tmp_path / name
    file.write_bytes(content)
    assert said in told(file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    """By its path."""
    assert "nowhere.txt cannot be read: No such file" in told(tmp_path / "nowhere.txt")
    assert "nowhere.png cannot be read" in told(tmp_path / "nowhere.png")


def test_a_picture_is_a_data_url_and_anthropics_clients_translate_it(tmp_path):
    """Byte for byte what the file holds."""
    file = tmp_path / "red.png"
    file.write_bytes(media_files.png())
    [part] = datasets.document(file)
    assert part["type"] == "image_url"
    head, _, data = part["image_url"]["url"].partition(",")
    assert (head, base64.b64decode(data)) == ("data:image/png;base64", media_files.png())
    _, [message] = conversation([{"role": "user", "content": [part]}])
    assert message["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    ]


def test_a_sound_is_an_input_audio_part(tmp_path):
    """With its format told beside it."""
    file = tmp_path / "silence.wav"
    file.write_bytes(media_files.wav())
    [part] = datasets.document(file)
    assert part["type"] == "input_audio"
    assert part["input_audio"]["format"] == "wav"
    assert base64.b64decode(part["input_audio"]["data"]) == media_files.wav()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"ID3\x04", "mp3"),
        (b"fLaC", "flac"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"%PDF-1.7", "pdf"),
    ],
)
def test_the_first_bytes_tell_what_a_file_is(head, name):
    """MP3 files may begin with a tag or with their first frame."""
    kind = media.kind_of(head + b"\0" * 16)
    assert kind is not None
    assert kind.name == name


def test_a_file_that_is_too_large_is_not_taken_into_memory(tmp_path):
    """Twenty megabytes are the most of a picture; a sparse file of a gigabyte is read only so far."""
    file = tmp_path / "huge.png"
    with file.open("wb") as stream:
        stream.write(media_files.png())
        stream.truncate(1 << 30)
    assert "huge.png is larger than 20 MB" in told(file)


def test_a_pdf_is_its_text_page_by_page(tmp_path):
    """With an empty line between two pages; pages without text are left out."""
    file = tmp_path / "two.pdf"
    file.write_bytes(media_files.pdf(["Invoice 4711", "", "Total: 12.50 EUR"]))
    assert datasets.document(file) == "Invoice 4711\n\nTotal: 12.50 EUR"


def test_a_pdf_that_wants_a_password_is_told(tmp_path):
    """One that only restricts printing is read."""
    import pypdf

    for password, name in (("secret", "locked.pdf"), ("", "open.pdf")):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(media_files.pdf(["Hello there"])))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        writer.write(tmp_path / name)
    assert "locked.pdf wants a password" in told(tmp_path / "locked.pdf")
    assert datasets.document(tmp_path / "open.pdf") == "Hello there"


def test_a_pdf_of_too_many_pages_is_refused(tmp_path, monkeypatch):
    """Before their text is looked at."""
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    file = tmp_path / "long.pdf"
    file.write_bytes(media_files.pdf(["a", "b", "c"]))
    assert "has 3 pages; 2 are the most" in told(file)


def test_a_folder_of_frames_is_a_video_in_the_order_of_names(tmp_path):
    """Hidden files are left out."""
    for number in (2, 1, 3):
        (tmp_path / f"{number:03}.png").write_bytes(media_files.png(red=number))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    urls = [part["image_url"]["url"] for part in datasets.document(tmp_path)]
    assert [base64.b64decode(url.partition(",")[2]) for url in urls] == [media_files.png(red=n) for n in (1, 2, 3)]


def test_a_folder_that_is_no_video_is_told(tmp_path):
    """Empty, with strangers in it, or with more frames than are sent."""
    assert "is empty" in told(tmp_path)
    (tmp_path / "note.txt").write_text("x")
    assert "note.txt is no picture" in told(tmp_path)
    (tmp_path / "note.txt").unlink()
    for number in range(frames.MAX_FRAMES + 1):
        (tmp_path / f"{number}.png").write_bytes(media_files.png())
    assert "holds 33 frames; 32 are the most" in told(tmp_path)


def test_a_video_becomes_frames_at_even_distances(tmp_path):
    """Eight of them, from the beginning of the clip to its end, each lighter than the one before."""
    from PIL import Image

    file = tmp_path / "clip.mp4"
    media_files.video(file)
    parts = datasets.document(file)
    assert len(parts) == frames.OF_A_VIDEO
    pictures = [Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))) for part in parts]
    greys = [picture.getpixel((32, 32))[0] for picture in pictures]
    assert greys == sorted(greys)
    assert greys[0] < 40
    assert greys[-1] > 150


def test_what_reads_a_kind_and_is_not_installed_is_named(tmp_path, monkeypatch):
    """With the extra that brings it."""
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    file = tmp_path / "a.pdf"
    file.write_bytes(media_files.pdf(["x"]))
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[documents\]"):
        datasets.document(file)
