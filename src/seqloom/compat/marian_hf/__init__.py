"""MarianMT models of Hugging Face's transformers, read and written."""

from seqloom.compat.marian_hf.reading import read as read
from seqloom.compat.marian_hf.writing import write as write
