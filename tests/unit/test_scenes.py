"""Rooms: NYUv2's classes in likely shares, and masks that a reader has to live with."""

import numpy as np

from tabench.data.nyuv2 import CLASSES_13
from tabench.worlds.scenes import make_scene


def test_every_class_appears():
    images = 40
    shares = np.zeros((images, 13))
    for i in range(images):
        label = make_scene(1, "train", i, 48, 64)["label"].astype(int)
        assert set(np.unique(label)) <= set(range(-1, 13))
        shares[i] = np.bincount(label[label >= 0], minlength=13) / label.size
    seen = dict(zip(CLASSES_13, (shares > 0).mean(0), strict=True))
    assert min(seen.values()) >= 0.08, seen
    pixels = dict(zip(CLASSES_13, shares.mean(0), strict=True))
    assert 0.2 < pixels["wall"] < 0.55
    assert 0.08 < pixels["floor"] < 0.35
    for name in ("bed", "chair", "sofa", "table", "furniture"):
        assert pixels[name] > 0.015, pixels


def test_what_is_invalid():
    maps = [make_scene(0, "train", i, 48, 64) for i in range(12)]
    for m in maps:
        np.testing.assert_array_equal((m["normal"] != 0).any(-1), m["depth"][..., 0] > 0)
        assert m["depth"].max() < 8.5
        assert 4 < len(np.unique(m["instance"])) < 80
        assert (m["depth"] > 0).mean() > 0.6
    assert any((m["depth"] == 0).mean() > 0.01 for m in maps)
    assert any((m["label"] == -1).any() for m in maps)
    assert any((m["label"] >= 0).all() for m in maps)
