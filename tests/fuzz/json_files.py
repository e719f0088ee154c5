"""JSON files of a results folder, of generated and packed data and of Slurm submissions."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import report_fixtures as made

from fuzz.json_values import mutated
from fuzz.samples import FAILURE, PLAN, cell_id, record
from fuzz.target import Target, reading
from tabench.bench.reading import read_machines
from tabench.data.fingerprint import CACHE_NAME, fingerprint_files
from tabench.data.pack import DamagedPackError, Packed, Source, check_pack, manifest_of, open_pack
from tabench.data.pascal.files import read_index as read_pascal_index
from tabench.data.prepare.manifest import FILE, Manifest, claim
from tabench.provenance.files import cache_root
from tabench.runs.executor import read_jobs
from tabench.runs.resolve import weights_sha256
from tabench.runs.slurm.queue import Submission
from tabench.store.checksums import read_sums
from tabench.store.claim import is_live
from tabench.store.file_cache import VERSION
from tabench.store.folders import CellFolder, ExperimentFolder, RunSidecar, read_sidecar
from tabench.store.index import INDEX_FILE, read_index
from tabench.store.record import load_record
from tabench.store.verify import verify_experiment
from tabench.worlds.synthetic import Recipe, read_recipe

ROOT = Path(__file__).parents[2]
CLAIM = {"host": os.uname().nodename, "pid": os.getpid(), "started": "123"}


def _cell(path: Path) -> CellFolder:
    return CellFolder(path.parents[2], path.parents[1].name, path.parent.name)


def _index(path: Path) -> object:
    (path.parents[1] / INDEX_FILE).unlink(missing_ok=True)
    index = read_index(path.parents[2], path.parents[1].name)
    found = [
        (known.state, known.problem, known.wall_s, known.finished, known.message)
        for known in index.cells.values()
    ]
    json.dumps(found, allow_nan=False)
    return [known.cell() for known in index.recorded]


def _index_of_recorded(path: Path) -> object:
    (path.parent / "record.json").write_text(json.dumps(record()))
    return _index(path)


def _memo(path: Path) -> object:
    home = path.parent / cell_id()
    home.mkdir(exist_ok=True)
    if not (home / "record.json").exists():
        (home / "record.json").write_text(json.dumps(record()))
        os.utime(home / "record.json", ns=(10**18, 10**18))
    index = read_index(path.parents[1], path.parent.name)
    assert index.state(cell_id()) == "done"
    return [known.cell() for known in index.recorded]


def _memo_seed() -> Any:
    return {
        "version": VERSION,
        "files": {
            f"{cell_id()}/record.json": [[1, 2, 3, 4], {"settings": "{}", "method": "ta-lora", "seed": 0}]
        },
    }


def _verified(path: Path) -> object:
    home = path.parent
    if not (home / "record.json").exists():
        (home / "record.json").write_text(json.dumps(record()))
    found = verify_experiment(
        ExperimentFolder(path.parents[2], path.parents[1].name), lambda folder, record: None
    )
    return [problem.message for problem in found.found]


def _jobs() -> Any:
    cell = made.cell("ta-lora", 0)
    job = {
        "cell": cell,
        "label": "ta-lora s0",
        "experiment": "nyuv2",
        "data_root": "/d",
        "checkpoint": "/c",
        "generate": None,
    }
    return {"format": 1, "options": {"results": "/r"}, "jobs": [job]}


def _pack(path: Path) -> object:
    split = _TwoImages()
    source = SOURCE
    if not (path.parent / "image.npy").exists():
        for kind, array in split.arrays.items():
            np.save(path.parent / f"{kind}.npy", array)
    found = open_pack(path.parent, source, split)  # type: ignore[arg-type]
    assert found is not None
    samples = [found.load(index) for index in range(len(found))]
    check_pack(path.parent)
    return samples


SOURCE = Source("scenes", "f" * 64, "train")


class _TwoImages:
    augmentation = paper_augmentation = None
    ids = ("train/0", "train/1")
    arrays: ClassVar = {
        "image": np.zeros((2, 3, 4, 5), np.uint8),
        "depth": np.zeros((2, 1, 4, 5), np.float32),
    }

    def __len__(self) -> int:
        return 2


def _pack_seed() -> Any:
    """As the package writes it, so that its version and reader are today's."""
    arrays = {}
    for kind, array in _TwoImages.arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        data = buffer.getvalue()
        forms = ("unit8", "uint8", "float32") if kind == "image" else ("same", "float32", "float32")
        arrays[kind] = Packed(*forms, array.shape, len(data), hashlib.sha256(data).hexdigest())
    return manifest_of(SOURCE, _TwoImages.ids, arrays)


def _plan(path: Path) -> object:
    return ExperimentFolder(path.parents[1], "nyuv2").read_experiment()


def _pascal_index(path: Path) -> object:
    return read_pascal_index(path.parents[2], "train")


def _fingerprint(path: Path) -> object:
    (path.parent / "x").write_bytes(b"1")
    found = fingerprint_files(path.parent, [path.parent / "x"])
    shutil.rmtree(path.parent)
    return found


def _weights(path: Path) -> object:
    weights = path.parent / "w.safetensors"
    weights.write_bytes(b"1")
    os.environ["TABENCH_CACHE"] = str(path.parent / "cache")
    stat = weights.stat()
    key = hashlib.sha256(str(weights.resolve()).encode()).hexdigest()[:16]
    note = cache_root() / "weights" / f"{key}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8", errors="replace")
    text = text.replace('"PATH"', json.dumps(str(weights.resolve())))
    note.write_text(text.replace("424242", str(stat.st_mtime_ns)), encoding="utf-8", errors="replace")
    found = weights_sha256(weights)
    assert found == hashlib.sha256(b"1").hexdigest() or len(found) == 64
    return found


def _bench() -> list[Any]:
    found = sorted((ROOT / "results" / "bench").glob("*/*nano-n1.json"))[:6:2]
    return [json.loads(path.read_text()) for path in found]


CELL = f"r/nyuv2/{cell_id()}"
RUN = made.run_facts("ta-lora", 0)
SUMS = {"record.json": "0" * 64, "pictures/a.png": "1" * 64}
NOTE = {"path": "PATH", "size": 1, "mtime_ns": 424242, "sha256": "0" * 64}

JOURNAL = {"t": 1.5, "event": "start"}
QUEUED = {"array": "12", "cells": ["a", "b"]}
RECIPE = json.loads(Recipe(0, 4, 2, 48, 64).to_json())
PREPARED = Manifest("nyuv2", 1, {"a": 1}, [{"name": "x"}], ["0", "1"])

# name: file, valid contents, what reads it and the documented refusals beside a TabenchError
READERS: dict[str, tuple[Any, ...]] = {
    "record": (f"{CELL}/record.json", [record()], load_record),
    "index record": (f"{CELL}/record.json", [record()], _index),
    "index run": (f"{CELL}/run.json", [RUN], _index_of_recorded),
    "index failure": (f"{CELL}/failure.json", [FAILURE], _index),
    "index memo": (f"r/nyuv2/{INDEX_FILE}", [_memo_seed()], _memo),
    "runs": (f"{CELL}/run.json", [RUN], lambda p: read_sidecar(p, RunSidecar)),
    "failure": (f"{CELL}/failure.json", [FAILURE], lambda p: _cell(p).read_failure()),
    "journal": (f"{CELL}/journal.jsonl", [JOURNAL], lambda p: _cell(p).read_journal()),
    "claim": (f"{CELL}/claim.json", [CLAIM], is_live),
    "checksums": (f"{CELL}/checksums.json", [SUMS], lambda p: read_sums(_cell(p))),
    "checksums verified": (f"{CELL}/checksums.json", [SUMS], _verified),
    "merged_from verified": (f"{CELL}/merged_from.json", [{"from": "/x", "when": "2026"}], _verified),
    "plan": ("r/nyuv2/experiment.json", [PLAN], _plan),
    "slurm jobs": ("s/jobs.json", [_jobs()], read_jobs),
    "slurm queue": ("s/submitted.json", [QUEUED], lambda p: Submission(p.parent).elements()),
    "recipe": ("d/scenes.json", [RECIPE], read_recipe),
    "pascal index": ("ImageSets/Parts/train.txt", [{"2008_000002": [12, 15]}], _pascal_index),
    "pack manifest": ("p/manifest.json", [_pack_seed()], _pack, (DamagedPackError,)),
    "prepare manifest": (f"d/{FILE}", [PREPARED.content()], lambda p: claim(p.parent, PREPARED)),
    "fingerprint cache": (f"d/{CACHE_NAME}", [{"x": [1, 2, "0" * 64]}], _fingerprint),
    "weights note": ("w/note.json", [NOTE], _weights),
    "bench": ("b/m/a.json", _bench(), lambda p: read_machines(p.parents[1])),
}


def _target(
    name: str,
    file: str,
    seeds: Sequence[Any],
    read: Callable[[Path], object],
    refusals: tuple[type[Exception], ...] = (),
) -> Target:
    return reading(name, file, mutated(seeds), read, refusals=refusals)


TARGETS = {name: partial(_target, name, *row) for name, row in READERS.items()}
