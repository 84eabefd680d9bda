"""Trains models: encoder, heads, losses, multitask methods and the training engine."""
