"""Two processes on two GPUs (NCCL) against one: see `parity/test_process_group.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_run import make_cell, write_scenes, write_weights

from tabench.runs.executor import CellEvent, Job, Options
from tabench.runs.launch import InlineExecutor
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder
from tabench.store.record import Record, load_record

pytestmark = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
STEP = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import torch
from safetensors.torch import load_file, save_file
from plain_msam import randomise
from tiny_run import make_cell, make_context, make_unit
from tabench.data.loading import batches
from tabench.worlds.scenes import SCENES
from tabench.engine.gradients import step_gradient
from tabench.engine.batch_split import BatchSplit
from tabench.engine.process_group import join

home, device = Path(sys.argv[1]), torch.device("cuda", int(os.environ["LOCAL_RANK"]))
torch.cuda.set_device(device)
torch.set_float32_matmul_precision("highest")
group = join(device)
cell = make_cell("ta-lora", train__batch_size=3, params__dropout=0.0, params__orthogonality=0.5)
unit, model = make_unit(cell, load_file(home / "nano.safetensors"))
randomise(model.image_encoder)
model.to(device).train()
setting = make_context(
    cell, unit, SCENES, home / "scenes", group=group, device=device, passes=BatchSplit(images=1)
)
share, found = (group.rank, group.size), {}
for step, batch in enumerate(
    batches(setting.train, seed=0, epoch=0, batch_size=3, augment="clean", device=device, share=share)
):  # of 4 images: the second batch has one
    step_gradient(model, setting, batch, step)
    found |= {f"{step} {n}": p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
save_file(found, home / f"{group.rank}-{group.size}.safetensors")
if group.size > 1:
    torch.distributed.destroy_process_group()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_weights(tmp_path / "nano.safetensors")
    write_scenes(tmp_path / "scenes")
    return tmp_path


def test_gradients_on_two_gpus_are_those_of_one(home: Path) -> None:
    from safetensors.torch import load_file

    (home / "step.py").write_text(STEP)
    tests = Path(__file__).parents[1]
    for count in (1, 2):
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        words = [str(home / "step.py"), str(home), str(tests), str(tests / "parity")]
        subprocess.run([sys.executable, *launch, *words], check=True)
    (one,) = [load_file(home / "0-1.safetensors")]
    first, second = (load_file(home / f"{rank}-2.safetensors") for rank in range(2))
    assert one.keys() == first.keys() == second.keys()
    for step in ("0", "1"):
        mine = {name: value for name, value in one.items() if name.startswith(f"{step} ")}
        largest = max(float(value.abs().max()) for value in mine.values())
        for name, value in mine.items():
            assert torch.equal(first[name], second[name])
            assert (first[name] - value).abs().max() <= 1e-6 * largest, name


def test_a_cell_runs_on_two_gpus(home: Path) -> None:
    cell = make_cell("ta-lora")
    job = Job("nyuv2", cell, cell.label, home / "scenes", home / "nano.safetensors")

    def run(processes: int) -> tuple[Record, dict[str, object]]:
        told: list[CellEvent] = []
        options = Options(results=home / f"of-{processes}", device="cuda", threads=2, processes=processes)
        (outcome,) = InlineExecutor().run([job], options, told.append)
        assert outcome.state == "done", outcome.message
        folder = CellFolder(options.results, "nyuv2", cell.id)
        return load_record(folder.record), read_json(folder.run)

    (one, _), (two, facts) = run(1), run(2)
    assert [point.step for point in two.curves.train] == [point.step for point in one.curves.train]
    assert facts["processes"] == 2
    peaks = facts["process_peaks"]
    assert isinstance(peaks, list)
    assert all(peak["peak_gpu_mb"] > 0 for peak in peaks)
