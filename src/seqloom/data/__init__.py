"""Parallel text on its way from files to batches of ids."""
