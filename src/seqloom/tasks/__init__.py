"""Tasks: what is learnt from which data, and how well it was learnt."""

from seqloom.tasks.base import Setting as Setting
from seqloom.tasks.base import Task as Task
from seqloom.tasks.translation import TranslationTask as TranslationTask
