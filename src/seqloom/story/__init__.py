"""What a run directory tells: a page and a model card, made of its files alone, at any time."""

from seqloom.story.card import card as card
from seqloom.story.page import page as page
from seqloom.story.record import Record as Record
from seqloom.story.writer import Story as Story
from seqloom.story.writer import write as write
