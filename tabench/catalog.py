"""The registries and everything this package ships in them.

Listing and planning read this file alone; targets are imported when a cell runs.
Other packages add entries by entry points of the same group names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabench.registry import Entry, Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabench.balancing.base import Balancing
    from tabench.data.base import DatasetDef
    from tabench.encoders.sam.family import Backbone
    from tabench.methods.base import Method
    from tabench.runs.executor import Executor
    from tabench.tasks.base import Task

METHODS: Registry[Method] = Registry(
    "method",
    "tabench.methods",
    [
        Entry(
            "ta-lora",
            "tabench.methods.catalog:TA_LORA",
            "Tucker-factored task-aware LoRA: factors shared by the tasks, one row of U3 a task",
        ),
        Entry(
            "ta-lora-cp",
            "tabench.methods.catalog:TA_LORA_CP",
            "the same stacked update in CP form",
        ),
        Entry(
            "lora-stl",
            "tabench.methods.catalog:LORA_STL",
            "one LoRA a task, every task trained alone",
        ),
        Entry(
            "lora-hps",
            "tabench.methods.catalog:LORA_HPS",
            "one LoRA shared by all tasks (hard parameter sharing)",
        ),
        Entry(
            "full-stl",
            "tabench.methods.catalog:FULL_STL",
            "full fine-tuning, one model a task",
        ),
        Entry(
            "full-hps",
            "tabench.methods.catalog:FULL_HPS",
            "full fine-tuning, one encoder for all tasks",
        ),
        Entry(
            "frozen",
            "tabench.methods.catalog:FROZEN",
            "decoders and embeddings only: the floor any adapter must beat",
        ),
    ],
)

BALANCERS: Registry[Balancing] = Registry(
    "balancing",
    "tabench.balancers",
    [Entry("equal", "tabench.balancing.base:EQUAL", "the sum of the tasks' losses by train.task_weights")],
)

TASKS: Registry[type[Task]] = Registry(
    "task",
    "tabench.tasks",
    [
        Entry(
            "segmentation",
            "tabench.tasks.segmentation:Segmentation",
            "semantic segmentation: mIoU, pixel accuracy",
        ),
        Entry("depth", "tabench.tasks.distance:Depth", "metric depth: absolute and relative error"),
        Entry(
            "disparity",
            "tabench.tasks.distance:Disparity",
            "rescaled disparity (CityScapes): absolute error and its raw ratio",
        ),
        Entry(
            "normals",
            "tabench.tasks.normals:Normals",
            "surface normals: mean and median angle, share below 11.25/22.5/30 degrees",
        ),
        Entry("human_parts", "tabench.tasks.segmentation:HumanParts", "person parts: mIoU"),
        Entry(
            "saliency",
            "tabench.tasks.binary:Saliency",
            "salient pixels: mIoU and F at the best of 15 thresholds",
        ),
        Entry("edges", "tabench.tasks.binary:Edges", "boundaries of labels: F on exact pixels (not odsF)"),
    ],
)

DATASETS: Registry[DatasetDef] = Registry(
    "dataset",
    "tabench.datasets",
    [
        Entry("nyuv2", "tabench.data.nyuv2:NYUV2", "NYU Depth v2, 795/654 images of 288x384, 13 classes"),
        Entry(
            "pascal_context",
            "tabench.data.pascal:PASCAL_CONTEXT",
            "PASCAL-Context, 4998/5105 images at 512x512, 21 classes, person parts, saliency, normals",
        ),
        Entry(
            "scenes",
            "tabench.worlds.scenes:SCENES",
            "synthetic ray-cast rooms in the NYUv2 layout (not NYUv2)",
        ),
        Entry(
            "figures",
            "tabench.worlds.figures:FIGURES",
            "synthetic figures: ray-cast people among objects in the PASCAL-Context layout (not PASCAL)",
        ),
        Entry(
            "cityscapes",
            "tabench.data.cityscapes:CITYSCAPES",
            "CityScapes, 2975/500 images of 128x256, 7 classes, disparity",
        ),
        Entry(
            "cityscapes-19",
            "tabench.data.cityscapes:CITYSCAPES_19",
            "CityScapes with 19 classes (label_19)",
        ),
        Entry(
            "cityscapes-2",
            "tabench.data.cityscapes:CITYSCAPES_2",
            "CityScapes with 2 classes (label_2)",
        ),
        Entry(
            "streets",
            "tabench.worlds.streets:STREETS",
            "synthetic ray-cast streets in the CityScapes layout (not CityScapes)",
        ),
    ],
)

BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    "tabench.backbones",
    [
        Entry("vit_b", "tabench.encoders.sam.family:VIT_B", "SAM ViT-B, 1024 px"),
        Entry("vit_l", "tabench.encoders.sam.family:VIT_L", "SAM ViT-L, 1024 px (the paper recipe's)"),
        Entry("vit_h", "tabench.encoders.sam.family:VIT_H", "SAM ViT-H, 1024 px"),
        Entry(
            "sam_vit_nano",
            "tabench.encoders.sam.family:VIT_NANO",
            "small SAM of the same classes, pretrained by this project on synthetic scenes",
        ),
    ],
)

PRETRAINING: Registry[Callable[..., dict[str, Any]]] = Registry(
    "pretraining",
    "tabench.pretraining",
    [Entry("sam_vit_nano", "tabench.worlds.pretrain:pretrain", "the small SAM, on procedural rooms")],
)

EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    "tabench.executors",
    [
        Entry("inline", "tabench.runs.launch:InlineExecutor", "one cell after the other, in this process"),
        Entry(
            "pool", "tabench.runs.local.pool:PoolExecutor", "several cells at once, one process a GPU or core"
        ),
        Entry(
            "slurm",
            "tabench.runs.slurm.executor:SlurmExecutor",
            "a job array on a Slurm cluster, requeued on preemption and time-out (extra: slurm)",
        ),
    ],
)
