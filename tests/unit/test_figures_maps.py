"""Targets of the figures agree with each other and with geometry."""

import numpy as np
import pytest

from tabench.data.pascal.classes import CLASSES_21
from tabench.worlds.figures import make_figure
from tabench.worlds.figures.deck import DECK, dealt
from tabench.worlds.figures.make import sample_scene
from tabench.worlds.figures.names import CONTEXT, context_name, voc_class
from tabench.worlds.figures.render import object_numbers, outline, salient
from tabench.worlds.scenes.camera import intrinsics
from tabench.worlds.scenes.render import trace

SEVEN = {"head", "torso", "upper arm", "lower arm", "upper leg", "lower leg"}
GROUPS = {
    **dict.fromkeys(("torso", "neck"), "torso"),
    **{side + "uarm": "upper arm" for side in "lr"},
    **{side + part: "lower arm" for side in "lr" for part in ("larm", "hand")},
    **{side + "uleg": "upper leg" for side in "lr"},
    **{side + part: "lower leg" for side in "lr" for part in ("lleg", "foot")},
    **{side + part: "head" for side in "lr" for part in ("eye", "ear", "ebrow")},
    **dict.fromkeys(("head", "hair", "nose", "mouth"), "head"),
}


@pytest.fixture(scope="module")
def pictures():
    return [make_figure(7, "train", i, 48, 64) for i in range(40)]


def test_formats(pictures):
    for picture in pictures:
        assert (picture.image.shape, picture.image.dtype) == ((48, 64, 3), np.uint8)
        assert (picture.semseg.shape, picture.semseg.dtype) == ((48, 64), np.uint8)
        assert (picture.context.shape, picture.context.dtype) == ((48, 64), np.uint16)
        assert (picture.saliency.shape, picture.saliency.dtype) == ((48, 64), np.bool_)
        assert set(np.unique(picture.semseg)) <= {*range(21), 255}
        assert set(np.unique(picture.context)) <= set(CONTEXT.values())
        assert 40 < picture.image.mean() < 210
        assert picture.image.std() > 15
        assert np.isfinite(picture.depth).all()
        assert picture.depth.min() > 0.2


def test_labels_objects_and_parts_are_one_partition(pictures):
    for picture in pictures:
        taken = np.zeros(picture.semseg.shape, dtype=int)
        for item in picture.objects:
            assert 1 <= item.number <= 20
            assert item.mask.any()
            taken += item.mask
            inside = picture.semseg[item.mask]
            assert set(np.unique(inside)) <= {item.number, 255}
            if item.parts:
                assert item.name == "person"
                assert set(item.parts) <= set(GROUPS)
                total = sum(mask.astype(int) for mask in item.parts.values())
                np.testing.assert_array_equal(total, item.mask)
            else:
                assert item.name != "person"
        assert taken.max() <= 1
        assert set(np.unique(picture.semseg[taken == 0])) <= {0, 255}
        assert (picture.semseg == 255).mean() < 0.35
        assert not (picture.saliency & (taken == 0)).any()


def test_all_parts_and_pictures_without_people_occur(pictures):
    seen, lonely = set(), 0
    for picture in pictures:
        names = {GROUPS[part] for item in picture.objects for part in item.parts}
        seen |= names
        lonely += not names
    assert seen == SEVEN
    assert 3 <= lonely <= 25
    whole = [item for picture in pictures for item in picture.objects if len(item.parts) >= 12]
    assert len(whole) > 10


def test_salient_things_are_whole_objects(pictures):
    shares = []
    for picture in pictures:
        for item in picture.objects:
            assert picture.saliency[item.mask].all() or not picture.saliency[item.mask].any()
        shares.append(picture.saliency.mean())
    assert 0.03 < np.mean(shares) < 0.5
    assert sum(share > 0.01 for share in shares) > 34


def test_the_heaviest_thing_is_salient_and_far_ones_are_not():
    checked = 0
    for i in range(15):
        scene = sample_scene(2, "val", i)
        hits, numbers = trace(scene, 72, 96), object_numbers(scene)
        found = np.where(numbers > 0, scene.things, -1)[hits.piece]
        rows, columns = np.divmod(np.arange(found.size), 96)
        centred = 1 - 0.5 * np.hypot((columns - 47.5) / 96, (rows - 35.5) / 72) / np.hypot(0.5, 0.5)
        weight = {k: centred[found == k].sum() for k in np.unique(found[found >= 0])}
        away = {k: np.median(hits.depth[found == k]) for k in weight}
        large = [k for k in weight if (found == k).sum() >= 0.01 * found.size]
        if large:
            first = max(large, key=lambda k: weight[k])
            rest = [k for k in large if weight[k] >= 0.3 * weight[first] and away[k] <= 1.6 * away[first]]
            assert sorted(salient(scene)) == sorted(rest)
            checked += len(rest) < len(weight)
        else:
            assert salient(scene) == []
    assert checked > 5


def test_normals_are_unit_and_face_the_camera(pictures):
    fx, fy, cx, cy = intrinsics(48, 64)
    v, u = np.mgrid[0:48, 0:64]
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((48, 64))], axis=-1)
    for picture in pictures:
        length = np.where(picture.context == CONTEXT["sky"], 0.0, 1.0)
        np.testing.assert_allclose(np.linalg.norm(picture.normal, axis=-1), length, atol=1e-9)
        assert ((picture.normal * rays).sum(-1) < 1e-9).all()


def test_normals_match_differences_of_depth():
    """Where the surface is smooth, central differences of back-projected depth are tangents."""
    height, width = 192, 256
    fx, fy, cx, cy = intrinsics(height, width)
    v, u = np.mgrid[0:height, 0:width]
    flat, curved = [], []
    for index in range(5):
        picture = make_figure(7, "train", index, height, width)
        z, normal = picture.depth, picture.normal
        points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], axis=-1)
        tangents = points[2:, 1:-1] - points[:-2, 1:-1], points[1:-1, 2:] - points[1:-1, :-2]
        found = np.cross(*tangents)
        found /= np.linalg.norm(found, axis=-1, keepdims=True)
        inverse = 1.0 / z  # affine in the pixel on a plane
        middle = inverse[1:-1, 1:-1]
        bend = np.maximum(
            np.abs(inverse[1:-1, 2:] + inverse[1:-1, :-2] - 2 * middle),
            np.abs(inverse[2:, 1:-1] + inverse[:-2, 1:-1] - 2 * middle),
        )
        bend /= middle
        own = normal[1:-1, 1:-1]
        beside = (normal[1:-1, 2:], normal[1:-1, :-2], normal[2:, 1:-1], normal[:-2, 1:-1])
        turn = np.min([(own * other).sum(-1) for other in beside], axis=0)
        cosine = np.minimum(np.abs((found * own).sum(-1)), 1.0)
        flat.append(cosine[(bend < 1e-9) & own.any(-1)])
        curved.append(cosine[(bend > 1e-6) & (bend < 1e-3) & (turn > np.cos(np.radians(8)))])
    level, angles = np.concatenate(flat), np.degrees(np.arccos(np.concatenate(curved)))
    assert len(level) > 50000
    assert level.min() > 1 - 1e-6
    assert len(angles) > 4000
    assert np.median(angles) < 0.3
    assert np.quantile(angles, 0.95) < 1.5  # the rest are steps between touching pieces


def test_outline_is_on_the_borders_alone():
    numbers = np.zeros((60, 80), dtype=np.int64)
    numbers[20:40, 30:50] = 3
    numbers[20:40, 50:60] = 4
    edge = outline(numbers)
    assert edge[20, 30:60].all()
    assert edge[30, 50]
    assert edge.sum() == 2 * (20 + 30) - 1 + 20 - 1  # two pixels are on two of the borders
    wide = outline(np.kron(numbers, np.ones((10, 10), dtype=np.int64)))
    assert 4 * 10 * edge.sum() < wide.sum() < 12 * 10 * edge.sum()
    assert not wide[:150].any()


def test_a_few_images_show_every_class():
    seen = set()
    for i in range(2 * len(DECK)):
        scene = sample_scene(0, "val", i)
        labels = {piece.label for piece in scene.pieces}
        assert {context_name(label) for label in labels} <= set(CONTEXT)
        shown = np.unique(trace(scene, 18, 24).piece)
        seen |= {CLASSES_21[voc_class(scene.pieces[k].label)] for k in shown}
    assert seen == set(CLASSES_21)


def test_each_subject_is_dealt_once_a_run():
    for split in ("train", "val"):
        runs = [[dealt(3, split, r * len(DECK) + k) for k in range(len(DECK))] for r in range(3)]
        assert all(sorted(map(id, run)) == sorted(map(id, DECK)) for run in runs)
        assert runs[0] != runs[1] != runs[2]
