"""Training: what may be chosen, where it stands, and the one loop."""

from seqloom.train.options import TrainOptions as TrainOptions
from seqloom.train.progress import Progress as Progress
from seqloom.train.trainer import BAD_STEPS as BAD_STEPS
from seqloom.train.trainer import Interrupted as Interrupted
from seqloom.train.trainer import Listener as Listener
from seqloom.train.trainer import Trainer as Trainer
from seqloom.train.update import Outcome as Outcome
from seqloom.train.update import Update as Update
from seqloom.train.weights import load_model as load_model
from seqloom.train.weights import model_tensors as model_tensors
