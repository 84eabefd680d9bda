"""The ground floor: what training, export, evaluation and prediction agree on. Never torch."""
