"""Summaries of many predictions: counted as they come, written as text, JSON or a page."""
