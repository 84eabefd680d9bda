"""Trains an encoder further on unlabelled text, by masked language modelling."""
