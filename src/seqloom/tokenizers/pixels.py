"""Images as sequences: each line of text is the path of an image file, and its pixels are the symbols."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.bounds import Positive
from seqloom.errors import UnreadableError, UsageError
from seqloom.registry import register
from seqloom.tokenizers.base import SILENT, Tokenizer
from seqloom.vocabulary import SPECIALS, Vocabulary

CHANNELS, LEVELS = 3, 256
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")  # for some others Pillow runs programs on the file


@register("pixels")
class Pixels(Tokenizer):
    """An image file as the levels 0 to 255 of its red, green and blue, row by row from the top left.

    It may be a PNG, JPEG, GIF, WebP, TIFF, BMP or PPM, whatever its name.  An animation gives its first frame, and
    photographs are turned upright.
    """

    joint, of_files = False, True

    def __init__(self, *, height: Positive = 32, width: Positive = 32):
        """Images of another size are stretched or shrunk to `height` x `width`."""
        self.height = height
        self.width = width
        self._vocabulary = Vocabulary((*SPECIALS, *map(str, range(LEVELS))))

    @property
    def length(self) -> int:
        return self.height * self.width * CHANNELS

    def train(self, lines: Iterable[str]) -> None:
        """Nothing is learnt, and no line is read."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The levels of the image at each path; none for an empty text.

        Raises UnreadableError for a file that is no image, and UsageError if Pillow is not installed.
        """
        return [(self._levels(text) + len(SPECIALS)).tolist() if text.strip() else [] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The levels as numbers."""
        return " ".join(self.vocabulary.lookup(i for i in ids if i not in SILENT))

    def dump(self) -> bytes:
        return b""

    def load(self, data: bytes) -> None:
        if data:
            raise ValueError("pixels have nothing to learn")

    def _levels(self, path: str) -> Any:
        """[height * width * 3], int64."""
        Image, upright = _pillow()
        try:
            with Image.open(Path(path), formats=FORMATS) as image:
                small = upright(image).convert("RGB").resize((self.width, self.height), Image.Resampling.BILINEAR)
        except FileNotFoundError:
            raise UnreadableError(f"{path}: no such file", path) from None
        # What Pillow's many readers answer damaged files with.
        except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
            raise UnreadableError(f"{path} is not an image that can be read: {_reason(error)}", path) from error
        return np.asarray(small, np.int64).ravel()


def _pillow() -> tuple[Any, Any]:
    """Pillow's `Image` and what turns a photograph upright."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise UsageError("reading images needs a package: pip install pillow") from error
    return Image, ImageOps.exif_transpose


def _reason(error: BaseException) -> str:
    """Half a sentence: Pillow repeats the path in some of its messages."""
    if type(error).__name__ == "UnidentifiedImageError":
        return f"it is none of {', '.join(FORMATS)}"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
