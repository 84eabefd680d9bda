"""The experiments of the paper: its tables, running their rows, recording and comparing them."""
