"""Fetches the course's data and encoders into a cache, and verifies them."""
