"""Writes predictions: a writer turns them into the bytes of a format.

`cells` decides the columns: only the results, or the table's own columns followed by the answers.
Each of the other modules writes one format.
"""
