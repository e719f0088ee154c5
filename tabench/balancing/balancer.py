"""What a balancer does at each step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """The step that a balancer is asked about.

    Attributes:
        number: The step, from 0.
        total: Steps of the whole run.
        epoch: The pass over the training split that it belongs to, from 0.
        tasks: Positions of the tasks that have a labelled image in it, P of the unit's T. The others are left
            out: no loss, row or weight of theirs is among what a balancer gets or gives.
        images: Labelled images of each of these tasks.
    """

    number: int
    total: int
    epoch: int
    tasks: tuple[int, ...]
    images: tuple[int, ...]


class Balancer(nn.Module):
    """How the losses of a unit's tasks become one step; this one takes their sum.

    A loss is the mean over all images of the step times the task's static weight (`train.task_weights`), so
    that the plain sum is what is minimised where nothing is balanced. Penalties of the method are no task's,
    and are added whatever a balancer does.

    Own parameters are trained by the run's optimiser; they and everything else that `state_dict` holds
    (tensors and JSON values by name) are saved with checkpoints. All processes of a cell ask the same
    questions and must get the same answers. Random draws come from torch's own generators, which are seeded
    by (seed, step) around each call.
    """

    def total(self, losses: Tensor, step: Step) -> Tensor:
        """What is minimised, a scalar, of the losses (P,).

        It must change no state: a step may be tried more than once.

        Its derivative by a loss is the factor of that task's gradient, its derivatives by own parameters are
        their gradients. Without "losses" in `asks` the factors must not depend on the losses.
        """
        return losses.sum()

    def combine(self, gradients: Tensor, losses: Tensor, step: Step) -> Tensor:
        """The gradient (N,) of the N values that the tasks share; asked with "gradients" in `asks`.

        `gradients` (P, N) are of each task's loss (P,), of all images, passes and processes. What a task has
        for itself gets that task's own gradient.
        """
        return gradients.sum(dim=0)

    def after_step(self, losses: Tensor, after: Tensor | None, step: Step) -> None:
        """Note what the optimiser's step has done: losses (P,) before it, and after it of the same images.

        `after` is None without "losses-after" in `asks`.
        """
