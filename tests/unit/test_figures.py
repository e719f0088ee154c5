"""Figures: targets that agree with each other, with geometry and with the files."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from tabench.catalog import DATASETS
from tabench.data.pascal.classes import CLASSES_21, PART_INDEX, voc_palette
from tabench.errors import DataError
from tabench.worlds.camera import intrinsics
from tabench.worlds.figures import FIGURES, make_figure, sample_scene
from tabench.worlds.figures.classes import ABSENT, CONTEXT, SHOWN, context_number, voc_class
from tabench.worlds.figures.render import object_numbers, outline, salient
from tabench.worlds.figures.settings import DECK, dealt
from tabench.worlds.tracing import trace

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}
FILES = {
    "JPEGImages": "jpg",
    "semseg/VOC12": "png",
    "human_parts": "mat",
    "normals_distill": "png",
    "sal_distill": "png",
    "pascal-context/trainval": "mat",
}
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
KNOWN = {
    0: (150, [8549.228659495273, 2034.0635454986173, 742.8726481218696]),
    1: (94, [302.04313976880707, 314.59336278288635, 74.1237684747324]),
    2: (140, [373.80062843585335, 286.22224715973164, 113.75161792194875]),
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


def test_a_few_images_show_the_nine_classes_and_no_other():
    seen = set()
    for i in range(2 * len(DECK)):
        scene = sample_scene(0, "val", i)
        assert all(context_number(piece.label) for piece in scene.pieces)
        shown = np.unique(trace(scene, 18, 24).piece)
        seen |= {CLASSES_21[voc_class(scene.pieces[k].label)] for k in shown}
    assert seen == {"background", *SHOWN}
    assert set(SHOWN) | set(ABSENT) == set(CLASSES_21[1:])
    assert len(SHOWN) == 9


def test_each_subject_is_dealt_once_a_run():
    for split in ("train", "val"):
        runs = [[dealt(3, split, r * len(DECK) + k) for k in range(len(DECK))] for r in range(3)]
        assert all(sorted(map(id, run)) == sorted(map(id, DECK)) for run in runs)
        assert runs[0] != runs[1] != runs[2]


def test_same_key_same_picture():
    first, second = make_figure(3, "train", 5, 24, 32), make_figure(3, "train", 5, 24, 32)
    for field in ("image", "semseg", "saliency", "normal", "depth", "context"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
    assert [(a.number, sorted(a.parts)) for a in first.objects] == [
        (b.number, sorted(b.parts)) for b in second.objects
    ]


@pytest.mark.parametrize("other", [(4, "train", 5), (3, "val", 5), (3, "train", 6)])
def test_another_key_another_picture(other):
    here, there = make_figure(3, "train", 5, 24, 32), make_figure(*other, 24, 32)
    assert (here.depth != there.depth).mean() > 0.5


@pytest.mark.parametrize("index", range(6))
def test_size_does_not_change_the_picture(index):
    small, large = make_figure(1, "val", index, 24, 32), make_figure(1, "val", index, 72, 96)
    # the centres of the small picture's pixels are pixels of the one three times its size
    for field in ("saliency", "context"):
        np.testing.assert_array_equal(getattr(small, field), getattr(large, field)[::3, ::3])
    np.testing.assert_allclose(small.depth, large.depth[::3, ::3], rtol=1e-9)
    np.testing.assert_allclose(small.normal, large.normal[::3, ::3], atol=1e-9)
    parts = {name for item in small.objects for name in item.parts}
    assert parts <= {name for item in large.objects for name in item.parts}


@pytest.mark.parametrize("index", sorted(KNOWN))
def test_known_scenes_stay_known(index):
    """Published figures change if any of these does: raise GENERATOR then."""
    pieces, centres = KNOWN[index]
    scene = sample_scene(0, "train", index)
    assert len(scene.pieces) == pieces
    assert sum(piece.shape.centre for piece in scene.pieces) == pytest.approx(centres, abs=1e-5)


def test_unknown_split_and_index():
    with pytest.raises(DataError, match="unknown split 'test'"):
        make_figure(0, "test", 0, 24, 32)
    with pytest.raises(DataError, match="negative"):
        make_figure(0, "train", -1, 24, 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("figures") / "set"
    FIGURES.make(root, **SIZES)
    return root


def snapshot(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def read(root, folder, name):
    return np.asarray(Image.open(root / folder / f"{name}.{FILES[folder]}"))


def test_the_layout_is_pascals(made):
    names = [f"train_00000{k}" for k in range(3)] + [f"val_00000{k}" for k in range(2)]
    expected = {f"{folder}/{name}.{end}" for folder, end in FILES.items() for name in names}
    lists = {f"ImageSets/{kind}/{split}.txt" for kind in ("Context", "Parts") for split in ("train", "val")}
    assert set(snapshot(made)) == expected | lists | {"figures.json"}
    assert (made / "ImageSets/Context/val.txt").read_text() == "val_000000\nval_000001\n"


@pytest.mark.parametrize(("split", "index"), [("train", 1), ("val", 1)])
def test_files_hold_what_make_figure_returns(made, split, index):
    name, picture = f"{split}_{index:06d}", make_figure(5, split, index, 24, 32)
    with Image.open(made / "JPEGImages" / f"{name}.jpg") as image:
        assert (image.mode, image.size) == ("RGB", (32, 24))
        assert np.abs(np.asarray(image).astype(int) - picture.image.astype(int)).mean() < 3
    with Image.open(made / "semseg/VOC12" / f"{name}.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), picture.semseg)
        colours = np.asarray(image.convert("RGB"))
    person = np.argwhere(picture.semseg == 15)
    if len(person):
        assert colours[tuple(person[0])].tolist() == [192, 128, 128]
    saliency = read(made, "sal_distill", name)
    assert saliency.dtype == np.uint8
    np.testing.assert_array_equal(saliency / 255 > 0.5, picture.saliency)
    assert set(np.unique(saliency)) <= {0, 255}
    normal = read(made, "normals_distill", name) / 255 * 2 - 1
    assert np.abs(normal - picture.normal).max() <= 1 / 255 + 1e-9
    context = loadmat(made / "pascal-context/trainval" / f"{name}.mat")["LabelMap"]
    np.testing.assert_array_equal(context, picture.context)


def test_annotations_nest_as_pascal_parts_do(made):
    """Walked by position, as the readers of the real files do."""
    people = 0
    for split, count in (("train", 3), ("val", 2)):
        listed = json.loads((made / "ImageSets/Parts" / f"{split}.txt").read_text())
        for index in range(count):
            name, picture = f"{split}_{index:06d}", make_figure(5, split, index, 24, 32)
            annotation = loadmat(made / "human_parts" / f"{name}.mat")["anno"][0][0]
            assert str(annotation[0][0]) == name
            rows = annotation[1][0]
            assert len(rows) == len(picture.objects)
            for row, item in zip(rows, picture.objects, strict=True):
                assert str(row[0][0]) == item.name
                assert row[1][0][0] == item.number
                np.testing.assert_array_equal(row[2].astype(bool), item.mask)
                if not item.parts:
                    assert len(row[3]) == 0
                    continue
                people += 1
                assert [str(part[0][0]) for part in row[3][0]] == list(item.parts)
                for part in row[3][0]:
                    np.testing.assert_array_equal(part[1].astype(bool), item.parts[str(part[0][0])])
            assert listed[name] == [item.number for item in picture.objects]
    assert people >= 2


def test_the_reader_sees_what_was_rendered(made):
    people = 0
    for split, count in (("train", 3), ("val", 2)):
        opened = FIGURES.split(made, split)
        assert opened.ids == [f"{split}/{split}_{k:06d}" for k in range(count)]
        for index in range(count):
            picture, sample = make_figure(5, split, index, 24, 32), opened.load(index)
            np.testing.assert_allclose(sample.image.transpose(1, 2, 0) * 255, picture.image, atol=40)
            expected = np.where(picture.semseg == 255, -1, picture.semseg.astype(int))
            np.testing.assert_array_equal(sample.targets["label"], expected)
            np.testing.assert_array_equal(sample.targets["saliency"], picture.saliency)
            parts = np.zeros((24, 32), dtype=int)
            for item in picture.objects:
                for name, mask in item.parts.items():
                    parts[mask] = PART_INDEX[name]
            people += parts.any()
            np.testing.assert_array_equal(sample.targets["parts"], parts if parts.any() else parts - 1)
            normal = np.moveaxis(np.asarray(sample.targets["normal"]), 0, -1)
            kept = picture.context != CONTEXT["sky"]
            np.testing.assert_array_equal((normal != 0).any(-1), kept)
            assert kept.any()
            np.testing.assert_allclose(normal[kept], picture.normal[kept], atol=0.01)
    assert 0 < people < 5


def test_the_palette_is_vocs():
    colours = voc_palette()
    assert colours[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[15].tolist() == [192, 128, 128]
    assert colours[255].tolist() == [224, 224, 192]
    assert len({tuple(colour) for colour in colours.tolist()}) == 256


def test_verify_compares_with_the_renderer(tmp_path):
    root = tmp_path / "set"
    FIGURES.make(root, **SIZES)
    assert DATASETS.get("figures") is FIGURES
    report = FIGURES.verify(root)
    assert (report.problems, report.warnings) == ([], [])
    assert report.counts == {"train": 3, "val": 2}
    assert report.fingerprint == FIGURES.fingerprint(root) == FIGURES.recipe_fingerprint(**SIZES)
    path = root / "sal_distill" / "val_000001.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    other = root / "JPEGImages" / "train_000000.jpg"
    Image.fromarray(np.asarray(Image.open(other))[::-1]).save(other)
    report = FIGURES.verify(root)
    assert [str(path) in line or str(other) in line for line in report.problems] == [True, True]
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    Image.fromarray(np.asarray(Image.open(other))[::-1]).save(other)
    path = root / "human_parts" / "train_000000.mat"
    path.write_bytes((root / "human_parts" / "train_000001.mat").read_bytes())
    assert any(str(path) in line for line in FIGURES.verify(root).problems)
    assert report.fingerprint == ""
