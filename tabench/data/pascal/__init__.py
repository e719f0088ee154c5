"""PASCAL-Context with person parts, saliency, normals and edges, as the archive PASCAL_MT holds it."""

from tabench.data.pascal.dataset import PASCAL_CONTEXT, PascalContextDataset, PascalSplit

__all__ = ["PASCAL_CONTEXT", "PascalContextDataset", "PascalSplit"]
