"""What the datasets need: sources, disk, what is written. For ``--help``, messages and docs.

Nothing else of this package is imported here: the command line reads it when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass

NYU_FILE = (
    "nyu_depth_v2_labeled.mat is the 'Labeled dataset (~2.8 GB)' on the page of NYU Depth Dataset V2, "
    "cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"
)
NYU_MAP = (
    "classMapping40.mat (the 894 -> 40 classes of Gupta, Arbelaez and Malik, CVPR 2013) is in "
    "github.com/ankurhanda/nyuv2-meta-data; put it beside the labelled set or give it with --class-map"
)
NYU_SPLIT = (
    "the public 795 / 654 split is built in; another one is given with --splits, as splits.mat "
    "(horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat) has it"
)
CITYSCAPES = (
    "leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip and disparity_trainvaltest.zip are on "
    "cityscapes-dataset.com/downloads, after registration; give the folder they are in, unpacked or not"
)
PASCAL = (
    "PASCAL_MT.tgz is linked from the READMEs of github.com/facebookresearch/astmt and "
    "github.com/SimonVandenhende/Multi-Task-Learning-PyTorch; give the archive or its unpacked folder"
)


@dataclass(frozen=True)
class Guide:
    """How to prepare one dataset."""

    name: str  # name in the registry
    module: str  # module of this package whose `prepare` does it
    given: str  # what --from is given in the simplest call
    sources: tuple[str, ...]  # where the archives are kept and what to give; one sentence each
    disk: str  # room for the sources and for what is written
    writes: str  # the files written

    @property
    def command(self) -> str:
        """The call that builds the dataset in a folder ROOT, for messages about a missing one."""
        return f"tabench data prepare {self.name} --from {self.given} --root ROOT"


GUIDES = {
    guide.name: guide
    for guide in (
        Guide(
            "nyuv2",
            "tabench.data.prepare.nyuv2",
            "nyu_depth_v2_labeled.mat",
            (NYU_FILE, NYU_MAP, NYU_SPLIT),
            "2.8 GB for the source, 5.1 GB for what is written",
            "{train,val}/{image,label,depth,normal}/N.npy of 288x384: 13 classes, metres, and normals fitted "
            "to the depth",
        ),
        Guide(
            "cityscapes",
            "tabench.data.prepare.cityscapes",
            "FOLDER",
            (CITYSCAPES,),
            "15 GB for the archives, which are read without unpacking, 3.2 GB for what is written",
            "{train,val}/{image,label,label_7,label_19,depth}/N.npy of 128x256: 7 categories (label is "
            "label_7), 19 classes, and disparity / 65535, which lies in 0..0.4922",
        ),
        Guide(
            "pascal_context",
            "tabench.data.prepare.pascal_context",
            "PASCAL_MT.tgz",
            (PASCAL,),
            "the archive, and what it unpacks to (measured and compared with the free space first)",
            "the archive's own folders: JPEGImages, ImageSets, semseg, human_parts, normals_distill, "
            "sal_distill, pascal-context",
        ),
    )
}


def help_lines() -> list[str]:
    """All guides, a line each for name, sources, disk and output."""
    lines = []
    for guide in GUIDES.values():
        lines.append(guide.name)
        lines.extend(f"  from: {source}." for source in guide.sources)
        lines.append(f"  disk: {guide.disk}.")
        lines.append(f"  writes: {guide.writes}.")
    return lines
