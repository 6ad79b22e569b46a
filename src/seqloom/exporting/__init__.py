"""Trained models as other programs run them."""
