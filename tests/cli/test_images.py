"""From images to text with one YAML file: train, translate, evaluate, look, and be told what is wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from safetensors.torch import save_file
from torch.testing import assert_close

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.encoders import ImageEncoder
from seqloom.runs import train

Image = pytest.importorskip("PIL.Image")
ImageDraw = pytest.importorskip("PIL.ImageDraw")

YAML = """\
data:
  train: {source: train.images, target: train.captions, folder: .}
  valid: {source: valid.images, target: valid.captions, folder: .}
tokenizer: {source: {class: Pixels, height: 16, width: 16}, target: Words}
model:
  class: ImageToSequence
  embedding: {size: 16}
  encoder: {class: ImageEncoder, height: 16, width: 16, channels: [16, 32], dropout: 0}
  decoder: {class: RNNDecoder, size: 32, attention: {class: AdditiveAttention, size: 32}}
train:
  steps: 160
  batch_sentences: 30
  schedule: {class: Cosine, peak: 0.005, warmup: 10}
  precision: float32
  device: cpu
  validate_every: 160
search: {beam_size: 2}
"""
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (240, 240, 240)}
SHAPES = {"square": 7, "line": 1}  # how high


def paint(path: Path, draw: random.Random, colour: str, shape: str, side: str) -> None:
    """A shape of 8 pixels on the left or the right of a dark image of 20 x 20."""
    image = Image.new("RGB", (20, 20), (draw.randrange(40),) * 3)
    left, top = draw.randrange(3) + 9 * (side == "right"), draw.randrange(11)
    ImageDraw.Draw(image).rectangle((left, top, left + 7, top + SHAPES[shape]), fill=COLOURS[colour])
    image.save(path)


def captions(count: int, draw: random.Random) -> Iterator[tuple[str, str, str]]:
    for _ in range(count):
        yield draw.choice(list(COLOURS)), draw.choice(list(SHAPES)), draw.choice(["left", "right"])


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images with their captions, and captions.yml; to be read, not changed."""
    folder, draw = tmp_path_factory.mktemp("gallery"), random.Random(1)
    (folder / "pictures").mkdir()
    for name, count in (("train", 300), ("valid", 40)):
        lines = []
        for number, (colour, shape, side) in enumerate(captions(count, draw)):
            path = f"pictures/{name}{number}.png"
            paint(folder / path, draw, colour, shape, side)
            lines.append((path, f"a {colour} {shape} on the {side}"))
        (folder / f"{name}.images").write_text("".join(f"{path}\n" for path, _ in lines))
        (folder / f"{name}.captions").write_text("".join(f"{caption}\n" for _, caption in lines))
    (folder / "captions.yml").write_text(YAML)
    return folder


@pytest.fixture(scope="session")
def captioner(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt to name what it sees."""
    run = tmp_path_factory.mktemp("captioner") / "run"
    train(read_config(gallery / "captions.yml"), run)
    return run


def test_it_learns_to_say_what_an_image_shows(captioner: Path) -> None:
    rows = [json.loads(line) for line in (captioner / "metrics.jsonl").read_text().splitlines()]
    assert [row["valid.exact"] > 90 for row in rows if "valid.exact" in row] == [True]


def test_weights_to_begin_with_are_not_needed_to_go_on(gallery: Path, tmp_path: Path) -> None:
    file, run = tmp_path / "weights.safetensors", tmp_path / "run"
    taken = ImageEncoder(height=16, width=16, channels=(16, 32)).state_dict()
    save_file(taken, file)
    changes = [
        f"model.encoder.weights={file}",
        "train.schedule={class: Constant, peak: 1e-7}",
        "train.validate_every=1",
    ]
    train(read_config(gallery / "captions.yml", [*changes, "train.steps=1"]), run)
    begun = Checkpoints(run / "checkpoints").load(1).model
    for name, weight in taken.items():
        assert_close(begun[f"encoder.{name}"], weight, atol=1e-5, rtol=0)
    file.unlink()
    assert train(read_config(gallery / "captions.yml", [*changes, "train.steps=2"]), run).step == 2


def test_it_translates_paths_from_the_working_directory(seqloom: Any, captioner: Path) -> None:
    paint(seqloom.folder / "a.png", random.Random(5), "red", "line", "left")
    paint(seqloom.folder / "b.png", random.Random(6), "blue", "square", "right")
    result = seqloom("translate", captioner, input=f"a.png\n\n{seqloom.folder / 'b.png'}\n".encode())
    assert (result.code, result.err) == (0, "")
    assert result.out == "a red line on the left\n\na blue square on the right\n"


def test_its_attention_is_shown_on_the_grid(seqloom: Any, captioner: Path) -> None:
    paint(seqloom.folder / "a.png", random.Random(5), "red", "line", "left")
    assert seqloom("inspect", captioner, "a.png", "-o", "numbers.json").code == 0
    view = json.loads((seqloom.folder / "numbers.json").read_text())["views"][0]
    assert view["source"] == [f"row {row}, column {column}" for row in range(1, 5) for column in range(1, 5)]
    assert view["target"] == ["a", "red", "line", "on", "the", "left", "</s>"]
    for name in ("page.html", "picture.svg"):
        assert seqloom("inspect", captioner, "a.png", "-o", name).code == 0
    assert ElementTree.parse(seqloom.folder / "picture.svg").getroot().tag.endswith("svg")


def test_a_file_that_is_no_image_is_named(seqloom: Any, captioner: Path) -> None:
    (seqloom.folder / "a.png").write_text("a red line")
    said = seqloom.refused("translate", captioner, input=b"a.png\n", code=1)
    assert (
        said == "seqloom: a.png is not an image that can be read: it is none of PNG, JPEG, GIF, WEBP, TIFF, BMP, PPM\n"
    )
    assert seqloom.refused("translate", captioner, input=b"b.png\n", code=1) == "seqloom: b.png: no such file\n"


@pytest.mark.parametrize(
    "changes, code, sentence",
    [
        (
            ["data.train.folder=gone"],
            1,
            "{gallery}/train.images:1: {here}/gone/pictures/train0.png: no such file",
        ),
        (
            ["model.encoder.height=32"],
            2,
            "model.encoder reads images of 32x16 pixels and the tokenizer makes others: "
            "give both the same height and width",
        ),
        (
            ["tokenizer=Words"],
            2,
            "{gallery}/train.images and {gallery}/train.captions: folder is for sources that name files, "
            "and this tokenizer reads their text",
        ),
        (
            ["model.encoder.weights=none.safetensors"],
            1,
            "{here}/none.safetensors: no such file",
        ),
    ],
)
def test_a_faulty_configuration_is_a_sentence(
    seqloom: Any, gallery: Path, changes: list[str], code: int, sentence: str
) -> None:
    said = seqloom.refused("train", gallery / "captions.yml", "-o", "run", "train.steps=1", *changes, code=code)
    assert said.splitlines()[-1] == "seqloom: " + sentence.format(gallery=gallery, here=seqloom.folder)
