"""Translating any number of lines by any number of workers, each line exactly once; and what is made of that."""
