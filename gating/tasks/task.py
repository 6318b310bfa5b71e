"""The protocol of tasks: training batches and test sets as pure functions of seeds and places."""

from typing import Any, Protocol, runtime_checkable

from gating.tasks.sequences import Sequences

__all__ = ["Task"]


@runtime_checkable
class Task(Protocol):
    """What sequences are drawn from, for R replicas at once, each with a data seed of its own.

    A sequence is a function of the data seed and its place, in training or in the test set of a seed: not of what was
    drawn before or is drawn with it, nor of the other replicas, nor of torch's global source of chance. Integer ``y``
    are labels, floating ``y`` numbers. :func:`gating.checks.check_task` looks whether a task keeps this contract;
    :class:`gating.tasks.task_sampler.TaskSampler` has most of it for families of training tasks.

    Attributes:
        n_replicas: R.

    Example:
        >>> from gating.tasks.urns import Urns
        >>> isinstance(Urns([4], [0], dim=2, length=3), Task)
        True
    """

    n_replicas: int

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Training batches of several steps, shape (R, n_steps * batch_size, ...).

        Steps count from 0; the batch of step s holds the places s * batch_size .. (s + 1) * batch_size - 1.

        Raises:
            ValueError: an argument that is no integer, or a negative step, or no step or sequence.
        """

    def fresh(self, seed: int, *drawn: Any, **how: Any) -> Sequences:
        """A test set: sequences that training does not draw, shape (R, B, ...).

        Args:
            seed: evaluation seed, an integer.
            drawn: how many, or which; with `how`, the task's own.

        Raises:
            ValueError: a seed that is no integer, or arguments that the task does not take.
        """
