"""Figure 2: SAM, and mSAM with TA-LoRA; every shape and count is the built model's."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from tabench.report.figures.diagram import SMALL, Canvas, amount, shape
from tabench.report.records.architecture import Adapted, Architecture, Model, Other

_WIDTH = 7.2
_ROW = 0.52  # inches of a task's decoder


def caption(found: Architecture) -> str:
    """What is drawn, and what is counted."""
    model = next(iter(found.models.values()))
    idle = sum(part.idle for name, part in model.parts.items() if name.startswith("decoders."))
    without = (
        " The decoders' parts that only SAM's other outputs use never receive a gradient: "
        f"{idle:,} parameters in all, not counted as trained."
        if idle
        else ""
    )
    return (
        f"Architecture of SAM (a) and of mSAM with {found.method.title} (b) on {found.backbone.name}, with "
        f"one encoder block (c). Shapes and parameters are read from the built model.{without} "
        f"T = {len(model.tasks)}; one row of the no-mask embedding E_t for each of a task's N_t output "
        "channels (at most five are drawn)."
    )


def draw_architecture(found: Architecture) -> Figure:
    """Draw (a) SAM on top, (b) mSAM below it, (c) one block at the bottom."""
    model = next(iter(found.models.values()))
    tasks = len(model.tasks)
    middle = max(1.2, _ROW * tasks)
    canvas = Canvas(_WIDTH, 1.5 + middle + 1.83)
    bottom = 1.5
    _block(canvas, found, model, 0.08)
    _msam(canvas, found, model, bottom, middle)
    _sam(canvas, found, bottom + middle + 0.45)
    canvas.legend(_WIDTH - 1.75, bottom + middle + 0.45 + 1.22)
    return canvas.figure


def _sam(canvas: Canvas, found: Architecture, y: float) -> None:
    backbone, counts = found.backbone, found.sam.parameters
    canvas.heading(0.05, y + 1.22, "(a) SAM: promptable, one task")
    line, h, side = y + 0.78, 0.46, backbone.image_size
    canvas.box(0.05, line - h / 2, 0.86, h, "plain", "image", shape((3, side, side)))
    canvas.arrow([(0.91, line), (1.1, line)])
    size = f"{backbone.depth} blocks, width {backbone.embed_dim}; {amount(counts['image_encoder'])}"
    canvas.box(1.1, line - h / 2, 2.0, h, "plain", "image encoder", size)
    canvas.arrow([(3.1, line), (3.4, line)])
    canvas.box(3.4, line - h / 2, 0.95, h, "plain", "embedding",
               shape((backbone.out_chans, backbone.grid, backbone.grid)))  # fmt: skip
    canvas.arrow([(4.35, line), (4.65, line)])
    canvas.box(4.65, line - h / 2, 0.98, h, "plain", "mask decoder", amount(counts["mask_decoder"]))
    canvas.arrow([(5.63, line), (5.93, line)])
    width = canvas.sheets(5.97, line - 0.17, 0.3, 0.24, found.sam.masks)
    canvas.text(6.05 + width, line, f"{found.sam.masks} mask levels\n× 1 channel", SMALL + 0.5, ha="left")
    low = y + 0.24
    canvas.box(1.1, low - 0.15, 1.0, 0.3, "plain", "point, box, mask")
    canvas.arrow([(2.1, low), (2.4, low)])
    canvas.box(2.4, low - 0.15, 1.95, 0.3, "plain", f"prompt encoder, {amount(counts['prompt_encoder'])}")
    canvas.arrow([(4.35, low), (5.14, low), (5.14, line - h / 2)])


def _msam(canvas: Canvas, found: Architecture, model: Model, y: float, height: float) -> None:
    backbone, side = found.backbone, found.backbone.image_size
    title = f"(b) mSAM with {found.method.title}: no prompt, T = {len(model.tasks)}"
    canvas.heading(0.05, y + height + 0.17, title)
    line, h = y + height / 2, 0.62
    canvas.box(0.05, line - 0.23, 0.86, 0.46, "plain", "image", shape((3, side, side)))
    canvas.arrow([(0.91, line), (1.05, line)])
    patches = amount(model.part("patch_embed").total)
    canvas.box(1.05, line - h / 2, 0.66, h, "frozen", "patches,", "positions", patches)
    canvas.arrow([(1.71, line), (1.85, line)])
    canvas.box(1.85, line - h / 2, 1.1, h, "frozen")
    canvas.behind(1.85, line - h / 2, 1.1, h, "frozen")
    blocks = model.part("blocks")
    canvas.text(2.4, line + 0.2, f"{backbone.depth} blocks, {amount(blocks.total)}", SMALL)
    adapters, norms = model.part("adapters"), model.part("block_norms")
    canvas.box(1.91, line - 0.02, 0.98, 0.15, "trained")
    canvas.text(2.4, line + 0.05, f"adapters {amount(adapters.total)}", SMALL)
    canvas.box(1.91, line - 0.23, 0.98, 0.15, "trained" if norms.trained else "frozen")
    canvas.text(2.4, line - 0.16, f"norms {amount(norms.total)}", SMALL)
    canvas.arrow([(3.05, line), (3.17, line)])
    canvas.box(3.17, line - h / 2, 0.48, h, "frozen", "neck", amount(model.part("neck").total))
    _decoders(canvas, found, model, y, height)


def _decoders(canvas: Canvas, found: Architecture, model: Model, y: float, height: float) -> None:
    backbone, line = found.backbone, y + height / 2
    rows = len(model.tasks)
    for index, (task, channels) in enumerate(model.tasks.items()):
        at = y + height * (1 - (index + 0.5) / rows)
        canvas.arrow([(3.65, line), (3.76, line), (3.76, at), (3.88, at)])
        canvas.text(4.22, at + 0.07, task.replace("_", " "), SMALL + 0.5)
        canvas.text(4.22, at - 0.07, shape((backbone.out_chans, backbone.grid, backbone.grid)), SMALL)
        canvas.arrow([(4.56, at), (4.69, at)])
        canvas.plus(4.76, at)
        canvas.arrow([(4.83, at), (5.58, at)])
        canvas.box(4.9, at + 0.06, 0.58, 0.19, "trained")
        canvas.text(5.19, at + 0.15, f"$E_{index + 1}$: {shape(model.embeddings[task])}", SMALL - 0.5)
        canvas.arrow([(4.9, at + 0.155), (4.76, at + 0.155), (4.76, at + 0.07)])
        decoder = model.part(f"decoders.{task}")
        canvas.box(5.58, at - 0.19, 0.66, 0.38, "trained", f"decoder {index + 1}", amount(decoder.trained))
        canvas.arrow([(6.24, at), (6.37, at)])
        width = canvas.sheets(6.4, at - 0.14, 0.2, 0.17, channels)
        canvas.text(6.44 + width, at, f"$N_{index + 1}$ = {channels}", SMALL, ha="left")


def _block(canvas: Canvas, found: Architecture, model: Model, y: float) -> None:
    adapted = model.adapted
    norms = "trained" if model.part("block_norms").trained else "frozen"
    canvas.heading(0.05, y + 1.2, f"(c) one of the {found.backbone.depth} encoder blocks, for task t")
    line = y + 0.34
    canvas.text(0.14, line, "$x_t$")
    canvas.arrow([(0.25, line), (0.5, line)])
    canvas.box(0.5, line - 0.16, 0.62, 0.32, norms, "norm 1")  # type: ignore[arg-type]
    canvas.arrow([(1.12, line), (1.62, line)])
    canvas.box(1.62, line - 0.16, 1.25, 0.32, "frozen", "$W_0$: q, k, v")
    canvas.arrow([(2.87, line), (3.11, line)])
    canvas.plus(3.18, line)
    canvas.arrow([(3.25, line), (3.45, line)])
    canvas.box(3.45, line - 0.16, 0.72, 0.32, "plain", "attention")
    canvas.arrow([(4.17, line), (4.33, line)])
    canvas.box(4.33, line - 0.16, 0.5, 0.32, "frozen", "proj.")
    canvas.arrow([(4.83, line), (5.03, line)])
    canvas.plus(5.1, line)
    canvas.arrow([(0.36, line), (0.36, y + 0.04), (5.1, y + 0.04), (5.1, line - 0.07)])
    canvas.arrow([(5.17, line), (5.5, line)])
    canvas.box(5.5, line - 0.16, 0.58, 0.32, norms, "norm 2")  # type: ignore[arg-type]
    canvas.arrow([(6.08, line), (6.2, line)])
    canvas.box(6.2, line - 0.16, 0.45, 0.32, "frozen", "MLP")
    canvas.arrow([(6.65, line), (6.83, line)])
    canvas.plus(6.9, line)
    canvas.arrow([(5.32, line), (5.32, y + 0.04), (6.9, y + 0.04), (6.9, line - 0.07)])
    canvas.arrow([(6.97, line), (7.15, line)])
    if adapted is not None:
        _update(canvas, adapted, line)
    if model.others:
        _others(canvas, model.others, line)


def _others(canvas: Canvas, others: Sequence[Other], line: float) -> None:
    """Updates of other layers: a mark at the box that they change, and what they are in words."""
    for x, w, roles in ((4.33, 0.5, {"proj"}), (6.2, 0.45, {"mlp.lin1", "mlp.lin2"})):
        if roles & {other.role for other in others}:
            canvas.box(x, line + 0.16, w, 0.16, "trained", "+ $\\Delta W_t$")
    words = [f"{other.role}: {amount(other.parameters)}" for other in others]
    canvas.text(4.86, line + 0.66, f"$\\Delta W_t$ of {', '.join(words)}", SMALL + 0.5, ha="left")


def _update(canvas: Canvas, adapted: Adapted, line: float) -> None:
    top = line + 0.53
    canvas.arrow([(1.3, line), (1.3, top), (1.62, top)])
    names = ", ".join(f"{name} {shape(sizes)}" for name, sizes in adapted.factors.items())
    title = f"$\\Delta W_t$ of {', '.join(adapted.updated)}: {amount(adapted.parameters)}"
    canvas.box(1.62, top - 0.17, 3.0, 0.34, "trained", title, names)
    canvas.arrow([(4.62, top), (4.78, top), (4.78, top - 0.26), (3.18, top - 0.26), (3.18, line + 0.07)])
    canvas.text(4.86, top - 0.13, f"× s, s = {adapted.scale:g}", SMALL + 0.5, ha="left")
