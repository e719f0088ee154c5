"""Procedural pictures of people among animals, vehicles and furniture, in PASCAL-Context's layout.

They stand in for PASCAL-Context where it is absent, with exact targets: VOC's 21 classes, parts
of people, saliency, surface normals. They are not PASCAL, and numbers on them say nothing about it.
"""

from tabench.worlds.figures.dataset import FIGURES, FiguresDataset
from tabench.worlds.figures.make import make_figure

__all__ = ["FIGURES", "FiguresDataset", "make_figure"]
