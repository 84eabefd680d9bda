"""Evaluation: dev metrics, leaderboard files, attention, the report."""
