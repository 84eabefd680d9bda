"""Multitask training of one encoder with a head per task: data, model and metrics."""
