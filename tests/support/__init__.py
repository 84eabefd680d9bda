"""What several test modules share: paths, tiny models, small runs, the program."""
