"""Search: from a decoder's next-token distributions to whole sentences."""

from seqloom.search.beam import Hypothesis as Hypothesis
from seqloom.search.beam import SearchOptions as SearchOptions
from seqloom.search.beam import beam_search as beam_search
from seqloom.search.rules import Forbid as Forbid
from seqloom.search.rules import Rule as Rule
from seqloom.search.trace import Candidate as Candidate
from seqloom.search.trace import Recorder as Recorder
from seqloom.search.trace import Trace as Trace
