"""Models: what the parts are put together to."""

from seqloom.models.base import Model as Model
from seqloom.models.base import VocabularySizes as VocabularySizes
from seqloom.models.encoder_decoder import EncoderDecoder as EncoderDecoder
from seqloom.models.ensemble import Ensemble as Ensemble
from seqloom.models.image_to_sequence import ImageToSequence as ImageToSequence
