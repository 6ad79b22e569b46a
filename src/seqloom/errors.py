"""What can go wrong through no fault of the program: every class here reaches the user as one clear sentence."""

from __future__ import annotations


class SeqloomError(Exception):
    """Something outside the program is not as it must be: a file, a line, a checkpoint.  The command exits with 1."""

    exit_code = 1


class UsageError(SeqloomError):
    """The user asked for something that can't be done as asked.  The command exits with 2."""

    exit_code = 2


class DataError(SeqloomError):
    """A data file is missing, empty, damaged or doesn't fit its partner; the message names it and the line."""


class UnreadableError(DataError):
    """A text can't be read: it names a file, such as an image, that can't be, or lacks something that it must have."""

    def __init__(self, message: str, text: str):
        """`text` is the text at fault."""
        super().__init__(message)
        self.text = text


NO_MEMORY = ("allocate memory", "out of memory", "size calculation overflowed")  # PyTorch's words, on every device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of the machine or of a GPU."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


class CheckpointError(SeqloomError):
    """A run directory is in use, or nothing in it can be loaded."""


NO_MEMORY = ("allocate memory", "out of memory", "size calculation overflowed")  # PyTorch's words, on every device


def lacks_memory(error: Exception) -> bool:
    """Whether this is how Python or PyTorch says that there is not enough memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)
