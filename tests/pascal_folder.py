"""Writes small folders in the layout and formats of PASCAL_MT: JPEG, palette PNG, MATLAB v5 structs."""

import json
from pathlib import Path

import numpy as np
from mat_files import save_mat
from PIL import Image

from tabench.data.pascal.classes import voc_palette

PERSON = 15
PARTS = ["head", "hair", "torso", "neck", "luarm", "rlarm", "rhand", "luleg", "llleg", "rfoot"]
KINDS = (
    "JPEGImages",
    "semseg/VOC12",
    "human_parts",
    "normals_distill",
    "sal_distill",
    "pascal-context/trainval",
)


def save_png(path: Path, array: np.ndarray, palette: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if palette:
        picture.putpalette(voc_palette().ravel().tolist())
    picture.save(path)
    return path


def save_label_map(path: Path, labels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_mat(path, {"LabelMap": labels.astype(np.uint16)}, do_compression=True)
    return path


def save_anno(
    path: Path, name: str, objects: list[tuple[str, int, np.ndarray, list[tuple[str, np.ndarray]]]]
) -> Path:
    """PASCAL-Part's nesting: anno(1).objects(i).{class, class_ind, mask, parts(j).{part_name, mask}}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = np.zeros(
        (1, len(objects)), dtype=[(key, object) for key in ("class", "class_ind", "mask", "parts")]
    )
    for at, (title, kind, mask, parts) in enumerate(objects):
        rows = np.zeros((1, len(parts)), dtype=[("part_name", object), ("mask", object)])
        for part, (part_name, part_mask) in enumerate(parts):
            rows[0, part] = (part_name, part_mask.astype(np.uint8))
        # MATLAB stores an object without parts as []
        held[0, at] = (
            title,
            np.array([[kind]], np.uint8),
            mask.astype(np.uint8),
            rows if parts else np.zeros((0, 0)),
        )
    anno = np.zeros((1, 1), dtype=[("imname", object), ("objects", object)])
    anno[0, 0] = (name, held)
    save_mat(path, {"anno": anno}, do_compression=True)
    return path


def write_image(
    root: Path, name: str, seed: int, height: int = 20, width: int = 28, people: bool = True
) -> None:
    rng = np.random.default_rng(seed)
    (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
    photo = np.kron(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)), np.ones((4, 4, 1)))
    Image.fromarray(photo[:height, :width].astype(np.uint8)).save(
        root / "JPEGImages" / f"{name}.jpg", quality=95
    )
    label = np.kron(rng.integers(0, 21, (height // 4 + 1, width // 4 + 1)), np.ones((4, 4)))[:height, :width]
    label[0] = 255
    folder = "VOC12" if seed % 2 == 0 else "pascal-context"
    save_png(root / "semseg" / folder / f"{name}.png", label.astype(np.uint8), palette=True)
    context = np.full((height, width), 440)  # wall: its normals are kept
    context[:, width // 2 :] = 360  # sky: they are not
    context[height // 2 :, : width // 4] = 284
    save_label_map(root / "pascal-context" / "trainval" / f"{name}.mat", context)
    whole = np.zeros((height, width), bool)
    whole[2:-2, 2:-2] = True
    objects = [("dog", 12, whole, [("head", whole), ("tail", whole)])]
    if people:
        rows = np.array_split(np.arange(2, height - 2), len(PARTS))
        masks = [np.isin(np.arange(height)[:, None], row) & whole for row in rows]
        objects.append(("person", PERSON, whole, list(zip(PARTS, masks, strict=True))))
        objects.append(("person", PERSON, whole, []))
    save_anno(root / "human_parts" / f"{name}.mat", name, objects)
    normal = rng.normal(size=(height, width, 3))
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    stored = ((normal + 1) / 2 * 255).round().astype(np.uint8)
    stored[1] = 128
    stored[2] = 0
    save_png(root / "normals_distill" / f"{name}.png", stored)
    save_png(
        root / "sal_distill" / f"{name}.png", rng.choice([0, 127, 128, 255], (height, width)).astype(np.uint8)
    )


def write_lists(
    root: Path, lists: dict[str, list[str]], index: dict[str, dict[str, list[int]]] | None = None
) -> None:
    for folder, names in lists.items():
        path = root / "ImageSets" / "Context" / f"{folder}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
    for folder, rows in (index or {}).items():
        path = root / "ImageSets" / "Parts" / f"{folder}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows))


def name_of(folder: str, number: int) -> str:
    return f"{2008 if folder == 'train' else 2010}_{number:06d}"


def write_folder(root: Path, train: int = 5, val: int = 2, seed: int = 0) -> Path:
    """Images of several sizes; the last one of each list shows no people."""
    lists: dict[str, list[str]] = {"train": [], "val": []}
    index: dict[str, dict[str, list[int]]] = {"train": {}, "val": {}}
    for folder, count, offset in (("train", train, 8), ("val", val, 500)):
        for number in range(count):
            name = name_of(folder, number)
            people = number < count - 1
            write_image(
                root,
                name,
                1000 * seed + offset + number,
                20 + 4 * (number % 2),
                28 - 4 * (number % 3),
                people,
            )
            lists[folder].append(name)
            index[folder][name] = [12, PERSON, PERSON] if people else [12]
    write_lists(root, lists, index)
    return root
