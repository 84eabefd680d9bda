"""Gradient aggregation methods, one per file.

Each task has a gradient over all shared parameters at once. Every method here combines them
linearly, with factors that depend on their inner products alone, so it is given these and not the
gradients: a method is a module made with the number of tasks N that maps the Gram matrix of an
update's K tasks, (K, K) float32, their numbers, (K,), and a random generator to the K factors.
The seed and the step decide what the generator gives.
"""
