"""How weights move: optimizers and learning-rate schedules."""

from seqloom.optim.optimizers import SGD as SGD
from seqloom.optim.optimizers import Adadelta as Adadelta
from seqloom.optim.optimizers import Adafactor as Adafactor
from seqloom.optim.optimizers import Adagrad as Adagrad
from seqloom.optim.optimizers import Adam as Adam
from seqloom.optim.optimizers import AdamW as AdamW
from seqloom.optim.optimizers import Ftrl as Ftrl
from seqloom.optim.optimizers import Optimizer as Optimizer
from seqloom.optim.optimizers import RMSProp as RMSProp
from seqloom.optim.schedules import Constant as Constant
from seqloom.optim.schedules import Cosine as Cosine
from seqloom.optim.schedules import Exponential as Exponential
from seqloom.optim.schedules import InverseSquareRoot as InverseSquareRoot
from seqloom.optim.schedules import InverseTime as InverseTime
from seqloom.optim.schedules import Plateau as Plateau
from seqloom.optim.schedules import RNMTPlusSchedule as RNMTPlusSchedule
from seqloom.optim.schedules import Schedule as Schedule
