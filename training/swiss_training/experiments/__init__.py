"""Reproduces the paper's tables: runs their rows, records the results and compares them."""
