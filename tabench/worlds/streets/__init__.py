"""Procedural streets with exact labels and disparity, in CityScapes' layout.

They stand in for CityScapes where it is absent. They are not CityScapes, and numbers on them
say nothing about it.
"""

from tabench.worlds.streets.dataset import STREETS, StreetDataset
from tabench.worlds.streets.make import make_street

__all__ = ["STREETS", "StreetDataset", "make_street"]
