"""What happens beside training: functions of the trainer and what it reports."""

from seqloom.hooks.base import Hook as Hook
from seqloom.hooks.facts import Facts as Facts
from seqloom.hooks.metrics_file import MetricsFile as MetricsFile
from seqloom.hooks.model_report import ModelReport as ModelReport
from seqloom.hooks.pretrained import PretrainedEmbeddings as PretrainedEmbeddings
from seqloom.hooks.samples import Samples as Samples
from seqloom.hooks.tensorboard import TensorBoard as TensorBoard
from seqloom.hooks.trace import Trace as Trace
from seqloom.hooks.warm_start import WarmStart as WarmStart
