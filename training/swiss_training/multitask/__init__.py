"""Multitask training: one encoder and a head per task, its data and its measurement."""
