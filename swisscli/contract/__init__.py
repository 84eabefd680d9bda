"""What training, export and prediction agree on. Standard library only."""
