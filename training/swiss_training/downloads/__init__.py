"""What a run fetches: the course's data and encoders, into a cache, verified."""
