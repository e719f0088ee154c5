"""Reader, metrics, training and pictures on real VOC photos with real labels, where they are at hand.

The frames have one kind of label each (21 classes, PASCAL-Context's or person parts); the folder built here
gives the others as ignored or constant, in the formats of PASCAL_MT.
"""

import json
import math
from functools import partial

import numpy as np
import pascal_folder as made
import pytest
from PIL import Image
from real_frames import FRAMES as REAL
from real_frames import best, check_images, evaluations, needs, one_hot

from tabench.catalog import TASKS
from tabench.data.pascal import PascalContextDataset
from tabench.data.pascal.classes import NORMAL_CLASSES

FRAMES = REAL / "pascal"
OTHERS = np.array([0] + [n for n in range(1, 460) if n not in NORMAL_CLASSES.values()])
PART_OF = {1: "head", 2: "torso", 3: "luarm", 4: "rlarm", 5: "luleg", 6: "rlleg"}

pytestmark = needs("pascal/meta.json")


class Small(PascalContextDataset):
    """PASCAL-Context at a size that two cores train on in seconds."""

    size = (96, 128)


DATASET = Small()


def frames():
    return json.loads((FRAMES / "meta.json").read_text())["frames"]


def stored(name):
    with Image.open(FRAMES / "frames" / f"{name}_label.png") as picture:
        return np.array(picture)


def write_frame(root, name, task):
    target = root / "JPEGImages" / f"{name}.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((FRAMES / "frames" / f"{name}_rgb.jpg").read_bytes())
    held = stored(name)
    size = held.shape
    label = held if task in ("voc", "voc_labelme") else np.full(size, 255, np.uint8)
    made.save_png(root / "semseg" / "VOC12" / f"{name}.png", label, palette=True)
    # that set numbers its 60 classes anew: the lines are real, the classes are some that carry no normals
    context = OTHERS[np.where(held == 255, 0, held)] if task == "context" else np.full(size, 440)
    made.save_label_map(root / "pascal-context" / "trainval" / f"{name}.mat", context)
    objects = [("sofa", 18, np.ones(size, bool), [])]
    if task == "person":
        parts = [(PART_OF[n], held == n) for n in range(1, 7)]
        objects.append(("person", 15, held > 0, parts))
    made.save_anno(root / "human_parts" / f"{name}.mat", name, objects)
    salient = (held > 0) & (held < 255) if task != "context" else np.zeros(size, bool)
    made.save_png(root / "sal_distill" / f"{name}.png", np.where(salient, 255, 0).astype(np.uint8))
    tilted = np.broadcast_to(np.uint8([128, 54, 23]), (*size, 3))
    made.save_png(root / "normals_distill" / f"{name}.png", np.ascontiguousarray(tilted))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    lists = {"train": [], "val": []}
    seen = {}
    for name, frame in frames().items():
        write_frame(folder, name, frame["task"])
        seen[frame["task"]] = seen.get(frame["task"], 0) + 1
        lists["val" if seen[frame["task"]] == 1 else "train"].append(name)
    made.write_lists(folder, lists)
    return folder


def test_verify_reads_all_of_them(root):
    report = DATASET.verify(root)
    assert report.problems == []
    assert report.counts == {"train": 11, "val": 4}


def test_real_labels_come_through_the_loader_pixel_by_pixel(root):
    for folder in ("train", "val"):
        split = DATASET.split(root, folder)
        for index, name in enumerate(split.names):
            held, task = stored(name).astype(np.int64), frames()[name]["task"]
            split.size = held.shape
            targets = split.load(index).targets
            assert split.load(index).image.shape[1:] == held.shape
            held[held == 255] = -1
            if task == "person":
                clean = held.copy()
                clean[held == -1] = 0  # a PASCAL-Part annotation knows no ignored pixels
                assert np.array_equal(targets["parts"], clean)
            elif task != "context":
                assert np.array_equal(targets["label"], held)
                assert (targets["parts"] == -1).all()


@pytest.mark.parametrize("name", DATASET.task_channels)
@pytest.mark.parametrize("protocol", ["pascal", "pixel"])
def test_missing_targets_turn_no_number_into_nan(root, name, protocol):
    channels = DATASET.task_channels[name]
    task = TASKS.get(name)(channels, DATASET.classes_of(name))
    random, perfect = evaluations(task, DATASET.split(root, "val"), protocol, partial(truth, task))
    assert all(math.isfinite(value) for value in random.compute().values())
    if protocol == "pixel":
        assert perfect.compute() == pytest.approx(best(task), abs=0.05)
    if name in ("human_parts", "segmentation", "normals"):
        assert any("without a valid pixel" in note for note in random.notes())


def truth(task, target):
    if task.needs == "normal":
        return target
    if task.channels == 1:
        return (target[:, None] == 1).float()
    return one_hot(target, task.channels)


def test_every_frame_augments_to_the_contract(root):
    check_images(DATASET.split(root, "train"), DATASET.size, 21)
