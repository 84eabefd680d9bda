"""The benchmark: the same texts and weights through `swiss` and through what else does the job."""
