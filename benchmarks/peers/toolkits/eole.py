"""eole's engine on a list of sentences.  It knows no end of a source, so that one is written behind each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .base import How, Toolkit, Translate


class Loaded(Toolkit):
    """A model directory of eole's."""

    sorts = True

    def __init__(self, folder: Path):
        from eole.config.run import PredictConfig
        from eole.inference_engine import InferenceEnginePY

        self.config = PredictConfig(
            model_path=str(folder), src="-", world_size=0, gpu_ranks=[], length_penalty="wu", ban_unk_token=True
        )
        self.engine = InferenceEnginePY(self.config)

    def prepared(self, how: How) -> Translate:
        predictor = self.engine.predictor
        self.config.batch_size = how.batch
        predictor.beam_size, predictor.global_scorer.alpha = how.beam, how.penalty
        predictor.max_length = how.most or 512
        predictor.max_length_ratio = 0 if how.most else 2  # and 5 more
        return self._translate

    def _translate(self, lines: Sequence[str]) -> list[str]:
        found = self.engine.infer_list([f"{line} </s>" for line in lines])
        return [best[0] for best in found[2]]
