"""Loss weighting methods, one per file.

A method is a module made with the number of tasks N. It maps the losses of an update's K batches,
(K,), and the number of each one's task, (K,), to the K terms of the objective: a task's formula is
applied to each batch that was drawn of it. `weights()` gives the factor of each task's loss, (N,),
for the log.
"""
