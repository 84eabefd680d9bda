"""Shared by training, export, evaluation and prediction. Never imports torch."""
