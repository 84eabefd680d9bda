"""Labelled examples for the buckets of errors, from templates and word lists of our own."""
