"""An image becomes its pixels, whatever it is stored as; what is no image is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from seqloom.errors import UnreadableError, UsageError
from seqloom.tokenizers import Pixels, fingerprint, load, save
from seqloom.vocabulary import SPECIALS

Image = pytest.importorskip("PIL.Image")


def levels(path: Path | str, **options: int) -> np.ndarray:
    """What the tokenizer makes of a file, [height, width, 3]."""
    pixels = Pixels(**options)
    (ids,) = pixels.encode([str(path)])
    assert len(ids) == pixels.length
    return np.reshape(ids, (pixels.height, pixels.width, 3)) - len(SPECIALS)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.webp"])
def test_an_image_of_the_right_size_is_kept_to_the_bit(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    Image.fromarray(noise).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    assert np.array_equal(levels(tmp_path / name, height=5, width=7), noise)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (64, 9)])
def test_one_colour_stays_one_colour_at_any_size_and_in_any_mode(
    tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    Image.new("RGB", size, (255, 255, 255)).convert(mode).save(tmp_path / "a.tiff")
    assert (levels(tmp_path / "a.tiff", height=3, width=4) == 255).all()


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 16, 8))  # blue above red
    turned = image.getexif()
    turned[0x0112] = 3  # the camera stood on its head
    image.save(tmp_path / "a.png", exif=turned)
    upright = levels(tmp_path / "a.png", height=16, width=16)
    assert (upright[0] == (255, 0, 0)).all() and (upright[-1] == (0, 0, 255)).all()


def test_no_path_is_no_image() -> None:
    assert Pixels().encode(["", " "]) == [[], []]


def test_it_comes_back_from_a_directory(tmp_path: Path) -> None:
    save(Pixels(height=4, width=9), tmp_path, "source")
    again = load(tmp_path, "source")
    assert isinstance(again, Pixels) and (again.height, again.width, again.length) == (4, 9, 108)
    assert fingerprint(again) == fingerprint(Pixels(height=4, width=9)) != fingerprint(Pixels(height=9, width=4))
    assert len(again.vocabulary) == len(SPECIALS) + 256
    assert again.decode([0, 3, 258, 1]) == "0 255"


def test_what_is_no_image_is_named(tmp_path: Path, noise: np.ndarray) -> None:
    (tmp_path / "text").write_text("a red square")
    Image.fromarray(noise).save(tmp_path / "drawing", "EPS")  # which can hold a program
    Image.fromarray(noise).resize((90, 90)).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:9000])
    for name, reason in {
        "drawing": " is not an image that can be read: it is none of PNG",
        "text": " is not an image that can be read: it is none of PNG, JPEG, GIF, WEBP, TIFF, BMP, PPM",
        "gone.png": ": no such file",
        ".": " is not an image that can be read: is a directory",
        "half.png": " is not an image that can be read: image file is truncated",
        "nul\0.png": " is not an image that can be read: embedded null byte",
    }.items():
        path = f"{tmp_path}/{name}"
        with pytest.raises(UnreadableError) as said:
            Pixels().encode([path])
        assert str(said.value).startswith(f"{path}{reason}"), str(said.value)
        assert said.value.text == path


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError) as said:
        Pixels().encode(["a.png"])
    assert str(said.value) == "reading images needs a package: pip install pillow"
