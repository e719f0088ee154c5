"""Small files beside a record that explain it: factors, architecture, output channels, SAM's masks.

They are found by name, the record does not know them, and none of them can keep a record from being written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tabench.catalog import BACKBONES, METHODS
from tabench.data.base import Split
from tabench.encoders.msam import MSam
from tabench.engine.describe import architecture, describe_model
from tabench.engine.pictures import save_channels, save_sam_masks
from tabench.events import AnalysisFailed, Emit
from tabench.methods.analysis import Layers, analyse, layers_of
from tabench.spec.cell import Cell
from tabench.store.atomic import write_json
from tabench.store.folders import CellFolder


@dataclass
class AnalysisFiles:
    """Collects what a cell's models say while they are there, and writes it at the end."""

    cell: Cell
    folder: CellFolder
    split: Split
    device: torch.device
    emit: Emit
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    layers: dict[str, Layers | str] = field(default_factory=dict)

    def visit(self, name: str, model: MSam) -> None:
        """Look at a trained unit; its channels are kept where one model serves all tasks."""
        with self._kept_apart("architecture.json"):
            self.models[name] = describe_model(model)
        with self._kept_apart("factors.json"):
            self.layers[name] = layers_of(model)
        if METHODS.get(self.cell.method.name).sharing != "per-task":
            with self._kept_apart("channels"):
                count = self.cell.evaluation.pictures
                save_channels(model, self.split, count, self.device, self.folder.pictures)

    def write(self, weights: Mapping[str, Tensor], truth: Path) -> None:
        """Write the cell's files, and SAM's masks to the folder of the split's own pictures."""
        method, backbone = METHODS.get(self.cell.method.name), BACKBONES.get(self.cell.backbone.name)
        with self._kept_apart("architecture.json"):
            write_json(self.folder.architecture, architecture(method, backbone, self.models))
        with self._kept_apart("factors.json"):
            found = analyse(self.layers, self.cell.dataset.tasks)
            if found is not None:
                write_json(self.folder.factors, found)
        if backbone.promptable() is None:
            return
        with self._kept_apart("SAM's masks"):
            sha256, count = self.cell.backbone.checkpoint, self.cell.evaluation.pictures
            save_sam_masks(backbone, weights, sha256, self.split, count, self.device, truth)

    @contextmanager
    def _kept_apart(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, the record matters more
            self.emit(AnalysisFailed(what=what, message=f"{type(error).__name__}: {error}"))
