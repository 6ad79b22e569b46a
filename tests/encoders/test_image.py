"""The image encoder looks everywhere, keeps places apart and takes pretrained weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from seqloom.encoders import ImageEncoder
from seqloom.errors import DataError
from seqloom.structures import Widths

SMALL = {"height": 8, "width": 12, "channels": (4, 6)}


@pytest.fixture
def encoder() -> ImageEncoder:
    torch.manual_seed(1)
    return ImageEncoder(**SMALL).eval()  # type: ignore[arg-type]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))


def test_every_place_of_the_last_map_is_a_position(encoder: ImageEncoder, images: torch.Tensor) -> None:
    result = encoder(images)
    assert (encoder.rows, encoder.columns, encoder.widths) == (2, 3, Widths(6, 6, 6))
    assert result.keys.shape == (2, 6, 6) and result.mask.all()
    assert result.keys is result.values
    assert_close(result.summary, result.keys.mean(1))
    assert_close(encoder(images[1:]).keys, result.keys[1:])


def test_positions_follow_the_rows_of_the_image(encoder: ImageEncoder) -> None:
    dark = torch.zeros(1, 3, 8, 12)
    lit = dark.clone()
    lit[..., 7, 0] = 1  # the lower left corner
    torch.nn.init.zeros_(encoder.blocks[1].norm.bias)  # type: ignore[union-attr, arg-type]
    changed = (encoder(lit).keys - encoder(dark).keys).abs().amax(-1)[0]
    assert int(changed.argmax()) == encoder.columns, "row 2, column 1"


def test_every_parameter_and_every_pixel_matters(encoder: ImageEncoder, images: torch.Tensor) -> None:
    images.requires_grad_()
    (encoder(images).keys * torch.randn(2, 6, 6)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-8, name
    assert images.grad is not None and (images.grad.abs().sum(1) > 0).double().mean() > 0.5


def test_it_starts_from_a_file(encoder: ImageEncoder, images: torch.Tensor, tmp_path: Path) -> None:
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(2)
    other = ImageEncoder(**SMALL, weights=tmp_path / "weights.safetensors").eval()  # type: ignore[arg-type]
    assert not torch.equal(other(images).keys, encoder(images).keys), "a model is built without the file"
    other.begin()
    assert torch.equal(other(images).keys, encoder(images).keys)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    wide = ImageEncoder(height=8, width=12, channels=(4, 6), weights=file)

    def complaint() -> str:
        with pytest.raises(DataError) as said:
            wide.begin()
        return str(said.value).removeprefix(str(file))

    assert complaint() == ": no such file"
    file.write_bytes(b"no weights")
    assert complaint() == " is not a safetensors file that can be read"
    save_file(ImageEncoder(height=8, width=12, channels=(4, 7)).state_dict(), file)
    assert complaint() == (" has other weights: blocks.1.convolution.bias is 7 there and 6 in this encoder")
    save_file({}, file)
    assert complaint() == " has other weights: blocks.0.convolution.bias is missing there and 4 in this encoder"


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"channels": ()}, "channels must name the width of at least one block"),
        (
            {"height": 8, "channels": (4,) * 4},
            "4 blocks halve 8x32 pixels to nothing; name fewer channels",
        ),
    ],
)
def test_what_can_not_be_built_is_a_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        ImageEncoder(**options)  # type: ignore[arg-type]
    assert str(said.value) == sentence
