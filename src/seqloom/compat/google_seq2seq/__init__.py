"""google/seq2seq's files, names and flags, as our configuration."""

from seqloom.compat.google_seq2seq.reading import gather as gather
from seqloom.compat.google_seq2seq.reading import is_theirs as is_theirs
from seqloom.compat.google_seq2seq.reading import read_file as read_file
from seqloom.compat.google_seq2seq.translation import Translation as Translation
from seqloom.compat.google_seq2seq.translation import translate as translate
from seqloom.compat.google_seq2seq.writing import written as written
