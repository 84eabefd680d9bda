"""Task samplers, one per file.

A sampler is a function that yields the tasks of each update of an epoch, the same ones whenever it
is asked for the same epoch; every epoch has as many updates as the first. A task may come twice in
an update, or not at all.
"""
