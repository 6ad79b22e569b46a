"""Sources that name files: where they are looked for, when they are read again, and which line is to blame."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seqloom.data import encoding
from seqloom.data.corpora import CorpusOptions
from seqloom.data.held_out import read_part
from seqloom.data.prepared import PreparedCorpus, prepare
from seqloom.errors import DataError, UsageError
from seqloom.tokenizers import Pixels, Tokenizers, Words

Image = pytest.importorskip("PIL.Image")
WORDS = Words()
WORDS.train(["red green blue"])
SIDES = Tokenizers(Pixels(height=2, width=3), WORDS)


def write(folder: Path, colours: list[str]) -> CorpusOptions:
    """A corpus of images of these colours, in `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, colour in enumerate(colours):
        Image.new("RGB", (8, 8), colour).save(folder / "images" / f"{number}.png")
    (folder / "list").write_text("".join(f"images/{number}.png\n" for number in range(len(colours))))
    (folder / "colours").write_text("".join(f"{colour}\n" for colour in colours))
    return CorpusOptions(source=folder / "list", target=folder / "colours", folder=folder)


def colour(corpus: PreparedCorpus, index: int) -> list[int]:
    """The first pixel of an image."""
    return [int(i) - 3 for i in corpus.source(index)[:3]]


RED, LIME, BLUE = [255, 0, 0], [0, 255, 0], [0, 0, 255]


@pytest.mark.parametrize("block", [1, 20, 10_000])
def test_an_image_of_any_length_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(encoding, "BLOCK_CHARACTERS", block)
    corpus = prepare(write(tmp_path, ["red", "lime", "blue"]), SIDES, cache=tmp_path / "cache", max_length=2)
    assert [colour(corpus, i) for i in range(3)] == [RED, LIME, BLUE]
    assert corpus.report.source_tokens == 3 * 2 * 3 * 3


def test_targets_are_still_measured(tmp_path: Path) -> None:
    options = write(tmp_path, ["red", "lime"])
    (tmp_path / "colours").write_text("red\ngreen green green\n")
    assert prepare(options, SIDES, cache=tmp_path / "cache", max_length=2).report.too_long == 1


def test_without_a_folder_paths_start_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, ["blue"])
    monkeypatch.chdir(tmp_path)
    options = CorpusOptions(source=Path("list"), target=Path("colours"))
    assert colour(prepare(options, SIDES, cache=Path("cache")), 0) == BLUE


def test_the_same_list_in_another_folder_is_another_corpus(tmp_path: Path) -> None:
    for name, painted, expected in (("a", "red", RED), ("b", "blue", BLUE)):
        options = write(tmp_path / name, [painted])
        (tmp_path / name / "colours").write_text("red\n")
        assert colour(prepare(options, SIDES, cache=tmp_path / "cache"), 0) == expected


def test_an_image_that_changed_is_read_again(tmp_path: Path) -> None:
    options = write(tmp_path, ["red"])
    first = prepare(options, SIDES, cache=tmp_path / "cache")
    assert prepare(options, SIDES, cache=tmp_path / "cache").key == first.key
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "images" / "0.png")
    os.utime(tmp_path / "images" / "0.png", (1, 1))
    again = prepare(options, SIDES, cache=tmp_path / "cache")
    assert again.key != first.key and colour(again, 0) == BLUE


def test_held_out_images_are_found_too(tmp_path: Path) -> None:
    options = write(tmp_path, ["red", "lime", "blue"])
    pairs = list(read_part(options, part="all", valid_share=0.0))
    assert pairs == [(f"{tmp_path}/images/{i}.png", name) for i, name in enumerate(["red", "lime", "blue"])]


def test_a_missing_or_damaged_image_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, cache = write(tmp_path, ["red", "lime"]), tmp_path / "cache"
    broken = tmp_path / "images" / "1.png"
    broken.write_text("no image")
    with pytest.raises(DataError) as said:
        prepare(options, SIDES, cache=cache)
    assert str(said.value) == (
        f"{tmp_path}/list:2: {broken} is not an image that can be read:"
        " it is none of PNG, JPEG, GIF, WEBP, TIFF, BMP, PPM"
    )
    broken.unlink()
    with pytest.raises(DataError) as said:
        prepare(options, SIDES, cache=cache)
    assert str(said.value) == f"{tmp_path}/list:2: {broken}: no such file; did you mean '{broken.with_name('0.png')}'?"
    assert not list(cache.glob("prepared/*")), "nothing half done is left"
    bare = CorpusOptions(source=options.source, target=options.target)
    monkeypatch.chdir(tmp_path / "images")
    with pytest.raises(DataError) as said:
        prepare(bare, SIDES, cache=cache)
    assert str(said.value) == (
        f"{tmp_path}/list:1: images/0.png: no such file;"
        " relative paths start from the working directory, or from a corpus's folder"
    )


def test_text_is_in_no_folder(tmp_path: Path) -> None:
    options = write(tmp_path, ["red"])
    with pytest.raises(UsageError) as said:
        prepare(options, Tokenizers(WORDS, WORDS), cache=tmp_path / "cache")
    assert str(said.value) == (
        f"{options.name}: folder is for sources that name files, and this tokenizer reads their text"
    )
