"""The training: a classifier, cross entropy, SGD with one cycle of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gradprof.workloads.classifiers import build_model, classification_loss
from gradprof.workloads.data import load_dataset
from gradprof.workloads.devices import choose_device

from .settings import Settings

if TYPE_CHECKING:
    from gradprof import Profiler
    from gradprof.terminal.bar import Bar
    from gradprof.terminal.interruption import Interruption


@dataclass(frozen=True)
class Figures:
    """One step, as shown."""

    loss: float
    lr: float
    largest: float | None
    """The largest gradient magnitude; None in a training that is not watched."""

    def __str__(self) -> str:
        shown = f"loss {self.loss:.4g}  lr {self.lr:.1e}"
        return shown if self.largest is None else f"{shown}  max gradient {self.largest:.1e}"


class Training:
    """Model, data and optimizer of one demo, ready to run; the same settings give the same losses.

    Attributes:
        n_steps: of the whole training.
        losses: of each step so far, 0-dim, on the device.
        accuracy: share of the validation images that is right after the latest epoch; None before.

    Raises:
        ValueError: settings that name something that does not exist or does not fit together.
        OSError: the data cannot be read.
        ModuleNotFoundError: torchvision or scikit-learn is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        settings.check()
        self.settings = settings
        self.device = choose_device(settings.device)
        self.data = load_dataset(
            settings.dataset, settings.data_root, settings.download, settings.image_size, self.device
        )
        self.steps_per_epoch = len(self.data.train) // settings.batch_size
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"--batch-size is {settings.batch_size}: expected at most {len(self.data.train)}, "
                f"the number of training images in {settings.dataset}"
            )
        self.n_steps = settings.epochs * self.steps_per_epoch
        torch.manual_seed(settings.seed)
        self._shuffling = torch.Generator().manual_seed(settings.seed)
        self.model = build_model(
            settings.model, self.data.n_classes, settings.image_size, settings.batch_size
        ).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=settings.lr, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=settings.lr, total_steps=self.n_steps
        )
        self.losses: list[Tensor] = []
        self.accuracy: float | None = None

    def run(self, prof: Profiler | None, bar: Bar, interruption: Interruption) -> None:
        """Train to the end, or until an interruption is requested; a line for each epoch."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True), bar:
            for epoch in range(1, self.settings.epochs + 1):
                self._train_epoch(prof, bar, interruption)
                if interruption.requested:
                    return
                figures = self._figures(prof)
                self.accuracy = self._validate()
                bar.line(self._epoch_line(epoch, figures))

    def _train_epoch(self, prof: Profiler | None, bar: Bar, interruption: Interruption) -> None:
        self.model.train()
        for images, labels in self.data.train_batches(self.settings.batch_size, self._shuffling):
            loss = classification_loss(self.model(images), labels)
            self.optimizer.zero_grad()
            (-loss if self.settings.ascend else loss).backward()
            self.optimizer.step()
            if prof is not None:
                prof.log(loss=loss, lr=self.lr)
            self.losses.append(loss.detach())
            bar.show(len(self.losses), lambda: str(self._figures(prof)))
            self.scheduler.step()
            if interruption.requested:
                return

    @torch.no_grad()
    def _validate(self) -> float:
        self.model.eval()
        n_right = torch.zeros((), dtype=torch.int64, device=self.device)
        for images, labels in self.data.validation_batches(self.settings.batch_size):
            n_right += (self.model(images).argmax(1) == labels).sum()
        return int(n_right) / len(self.data.validation)

    @property
    def lr(self) -> float:
        """The learning rate of the step in progress."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _figures(self, prof: Profiler | None) -> Figures:
        largest = None if prof is None else largest_gradient(prof)
        return Figures(float(self.losses[-1]), self.lr, largest)

    def _epoch_line(self, epoch: int, figures: Figures) -> str:
        loss = float(torch.stack(self.losses[-self.steps_per_epoch :]).mean())
        line = f"epoch {epoch:{len(str(self.settings.epochs))}}/{self.settings.epochs}"
        line += f"  loss {loss:<9.4g}  validation accuracy {self.accuracy:6.1%}"
        return line if figures.largest is None else f"{line}  max gradient {figures.largest:.1e}"


def largest_gradient(prof: Profiler) -> float:
    """The largest magnitude of the latest step over all sites; NaN or inf if one was among them."""
    sites = list(prof.last.values())
    if any(stats.n_nan for stats in sites):
        return math.nan
    if any(stats.n_inf for stats in sites):
        return math.inf
    return max((stats.abs_max for stats in sites if stats.numel), default=math.nan)


def count_parameters(model: nn.Module) -> int:
    return sum(param.numel() for param in model.parameters())
