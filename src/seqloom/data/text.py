"""Lines of text from plain and compressed files, with every fault named by its line."""

from __future__ import annotations

import difflib
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from seqloom.errors import DataError

Errors = Literal["stop", "skip", "replace"]
BOM = b"\xef\xbb\xbf"
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
ZSTD_BLOCK = 1 << 14  # bytes, compressed


def read_lines(path: Path | str, *, errors: Errors = "stop") -> Iterator[str | None]:
    r"""The lines of a UTF-8 file, plain or .gz, .xz or .zst, in constant memory.

    Only \n ends a line; one \r before it and a BOM at the start of the file are dropped; a NUL becomes a space.
    A line that is not UTF-8 raises DataError, or is None with `errors` "skip", or has U+FFFD in it with "replace".
    Raises DataError if the file can't be read or is cut short.
    """
    for number, raw in enumerate(raw_lines(path), 1):
        yield _decoded(raw, f"{path}: line {number}", errors)


def raw_lines(path: Path | str) -> Iterator[bytes]:
    """The lines of a file as bytes, without their ends.  Raises DataError if it can't be read."""
    number = 0
    try:
        with _open(Path(path)) as stream:
            for number, line in enumerate(stream, 1):
                yield (line.removeprefix(BOM) if number == 1 else line).removesuffix(b"\n").removesuffix(b"\r")
    except DAMAGE as error:
        raise DataError(f"{path} is damaged or cut short after line {number}; decompress it to see more") from error
    except OSError as error:
        raise cannot_read(path, error) from error


def count_lines(path: Path | str) -> int:
    """How many lines `read_lines` finds."""
    return sum(1 for _ in raw_lines(path))


def cannot_read(path: Path | str, error: OSError) -> DataError:
    """The sentence for a file that the system doesn't let us read."""
    if isinstance(error, FileNotFoundError):
        close = _close_name(Path(path))
        return DataError(f"{path}: no such file" + (f"; did you mean {close!r}?" if close else ""))
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a directory, not a file")
    return DataError(f"{path}: {(error.strerror or str(error)).lower()}")


def _close_name(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    close = difflib.get_close_matches(path.name, names, 1)
    return str(path.with_name(close[0])) if close else None


def _decoded(raw: bytes, where: str, errors: Errors) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if errors == "skip":
            return None
        if errors == "stop":
            column = len(raw[: error.start].decode()) + 1
            raise DataError(
                f"{where} is not UTF-8 (byte 0x{raw[error.start]:02x} at column {column});"
                " convert the file (in training, data.errors: skip or replace will do)"
            ) from error
        text = raw.decode(errors="replace")
    return text.replace("\0", " ")


def _open(path: Path) -> IO[bytes]:
    match path.suffix:
        case ".gz":
            return gzip.open(path)  # type: ignore[return-value]
        case ".xz":
            return lzma.open(path)
        case ".zst":
            return io.BufferedReader(_ZstdReader(path.open("rb"), _zstd_decompressor(path)))
    return path.open("rb")


def _zstd_decompressor(path: Path) -> Callable[[], Any]:
    """What makes a decompressor: the standard library's (Python 3.14) or the zstandard package's."""
    try:
        return importlib.import_module("compression.zstd").ZstdDecompressor  # type: ignore[no-any-return]
    except ImportError:
        pass
    try:
        return importlib.import_module("zstandard").ZstdDecompressor().decompressobj  # type: ignore[no-any-return]
    except ImportError as error:
        raise DataError(f"{path}: reading .zst files needs a package: pip install zstandard") from error


class _ZstdReader(io.RawIOBase):
    """Decompresses frame after frame and, unlike the packages' own readers, notices a file that was cut short."""

    def __init__(self, stream: IO[bytes], make: Callable[[], Any]):
        self._stream = stream
        self._make = make
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._stream.read(ZSTD_BLOCK)
            if not block:
                return self._end()
            self._ready = self._decompress(block)
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _end(self) -> int:
        if self._frame is not None:
            raise EOFError("the last frame is not complete")
        return 0

    def _decompress(self, block: bytes) -> bytes:
        parts = []
        while block:
            self._frame = self._frame or self._make()
            try:
                parts.append(self._frame.decompress(block))
            except Exception as error:  # each of the two packages has an error class of its own
                raise EOFError(str(error)) from error
            block = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        return b"".join(parts)
