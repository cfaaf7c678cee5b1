"""The names of torch that gradprof uses although torch does not promise to keep them.

Each is looked up when watching starts. One that is missing is told of then, in one warning, and what it was
for is left out: nothing of it can raise in a forward or a backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class PrivateName:
    """One such name.

    Attributes:
        path: from `torch` on, or of an attribute of the object that `find` is given.
        why: what it tells.
        since: the first version of torch that has it.
        without: what is left out where it is missing.
    """

    path: str
    why: str
    since: str
    without: str

    def find(self, of: object = torch) -> Any:
        """The value; None where it is missing."""
        for name in self.path.split("."):
            of = getattr(of, name, None)
        return of

    def is_there(self, of: object = torch) -> bool:
        """Whether there is such a name, whatever its value."""
        *owners, last = self.path.split(".")
        for name in owners:
            of = getattr(of, name, None)
        return hasattr(of, last)


GRAPH_TASK = PrivateName(
    "_C._current_graph_task_id",
    why="which backward pass a hook is called in",
    since="2.1",
    without="after a backward pass that raised, parameters are observed again from the next step on",
)
END_OF_BACKWARD = PrivateName(
    "autograd.Variable._execution_engine.queue_callback",
    why="when a backward pass has ended, and gradients are complete",
    since="1.5",
    without="parameters are not observed",
)
TENSOR_HOOKS = PrivateName(
    "_backward_hooks",
    why="whether a site's hook is on a tensor already",
    since="0.2",
    without="a tensor that a module returns several times is counted as often",
)
SCALER_STATES = PrivateName(
    "_per_optimizer_states",
    why="of a step that the scaler skipped: its update replaces them",
    since="1.6",
    without="a step that the scaler skips is counted to the next one",
)
MODULE_HOOKS = PrivateName(
    "_forward_pre_hooks",
    why="whether a module is watched already",
    since="0.2",
    without="a model that is watched twice is recorded twice, without a word",
)
PARAMETER_HOOKS = PrivateName(
    "_post_accumulate_grad_hooks",
    why="whether torch has left an empty dict on a parameter",
    since="2.1",
    without="it stays there",
)

NAMES = (GRAPH_TASK, END_OF_BACKWARD, TENSOR_HOOKS, SCALER_STATES, MODULE_HOOKS, PARAMETER_HOOKS)


def missing_names(scaler: torch.amp.GradScaler | None) -> list[str]:
    """What is to be said of the names that this torch does not have."""
    tensor = torch.empty(0)
    owners = {
        GRAPH_TASK: torch,
        END_OF_BACKWARD: torch,
        TENSOR_HOOKS: tensor,
        PARAMETER_HOOKS: tensor,
        MODULE_HOOKS: torch.nn.Module(),
        SCALER_STATES: scaler if scaler is not None and scaler.is_enabled() else None,
    }
    return [
        f"torch {torch.__version__} has no {name.path}, which tells {name.why} (there since torch "
        f"{name.since}): {name.without}. Everything else is recorded"
        for name, owner in owners.items()
        if owner is not None and not name.is_there(owner)
    ]
