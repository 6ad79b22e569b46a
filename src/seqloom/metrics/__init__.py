"""Measures of text: a metric takes lines and references and gives a score with its interval and its signature."""

from seqloom.metrics.base import Metric, Score
from seqloom.metrics.rouge import Rouge
from seqloom.metrics.text import Bleu, Chrf, ExactMatch

__all__ = ["Bleu", "Chrf", "ExactMatch", "Metric", "Rouge", "Score"]
