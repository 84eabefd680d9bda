"""One optimizer step of any objective."""

from swiss_training import optim
from swiss_training.distributed import ranks
from swiss_training.objective import Objective


def take_step(objective: Objective, step: int) -> int:
    """Take an optimizer step.

    Args:
        objective: The objective.
        step: Number of steps taken before, which decides learning rate and data.

    Returns:
        The number of examples in the step, of all ranks.
    """
    config = objective.config
    ranks.seed(config.seed, step)
    objective.optimizer.zero_grad(set_to_none=True)
    examples = objective.backward(step)
    if config.max_grad_norm:
        optim.clip_gradients(objective.model.parameters(), config.max_grad_norm)
    optim.set_learning_rate(objective.optimizer, schedule_factor(objective, step))
    objective.optimizer.step()
    objective.after_step()
    return examples


def schedule_factor(objective: Objective, step: int) -> float:
    """Return the factor of the learning rate in the step after `step` others."""
    config = objective.config
    return optim.schedule_factor(step, objective.num_steps, config.warmup_ratio, config.schedule)
