"""Evaluate a trained model: dev metrics, leaderboard files, attention and the report."""
