"""Compares the speed of `swiss` and of other software on the same texts and weights."""
