"""Weights that the successor's released code has trained, under this project's names.

That code (MTSAM; docs/methods.md) saves nothing by itself; what there is comes from somebody's own
`torch.save(model.state_dict())`. Its keys are SAM's, with three changes:

- `image_encoder.blocks.{i}.attn.qkv` holds, beside SAM's weight and bias, `td_G` (p, q, v), `td_U1` (d, p),
  `td_U2` (k, q) and `td_U3` (T, v), with the outputs in the order q, k, v;
- `mask_decoder.{t}.` goes before the keys of task t's decoder;
- `prompt_encoder.no_mask_embed.weight` has the rows of all tasks, one behind the other.

Under DistributedDataParallel `module.` goes before all of them. The update's scale and the dropout's rate
are not in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.sam.checkpoint import no_weights
from tabench.encoders.sam.family import Backbone
from tabench.errors import CheckpointError
from tabench.methods.base import Value
from tabench.methods.low_rank import adapt_tucker

_PARALLEL = "module."
_QKV = ".attn.qkv."
_FIRST = "image_encoder.blocks.0.attn.qkv."
# SAM's prompt encoder, which mSAM leaves out
_UNUSED = tuple(
    f"prompt_encoder.{part}." for part in ("point_embeddings", "not_a_point_embed", "mask_downscaling")
)
_FIX = "check --backbone, --channels and --targets against the command that trained it"


@dataclass(frozen=True)
class Released:
    """A converted file.

    Attributes:
        params: The hyper-parameters of `ta-lora` that it says: "ranks" and "targets".
        trained: What is trained, by the names of `MSam`: the content of a `weights-all.safetensors`.
        unused: Keys of SAM's prompt encoder, which mSAM does not have.
    """

    params: dict[str, Value]
    trained: dict[str, Tensor]
    unused: list[str]


def convert_released(
    state: Mapping[str, Tensor],
    backbone: Backbone,
    channels: Mapping[str, int],
    sam: Mapping[str, Tensor],
    *,
    targets: str = "qkv",
    where: str = "the state dict",
) -> Released:
    """Rename a state dict of the released code, and check all of it.

    Args:
        state: Its keys to tensors.
        backbone: The SAM variant it adapts.
        channels: Of the tasks, in the order they were trained in.
        sam: The weights of SAM it started from. What is not trained must be these, to the last bit.
        targets: Which of q, k and v are adapted.
        where: Its file, for messages.

    Raises:
        CheckpointError: A key is missing, left over, or of another shape; or a frozen weight is not SAM's.
        SpecError: `targets` cannot be used as written.
    """
    if state and all(key.startswith(_PARALLEL) for key in state):
        state = {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    params = METHODS.get("ta-lora").params({"ranks": _ranks(state, where), "targets": targets})
    with torch.random.fork_rng(devices=[]):  # building draws a start that is overwritten
        model = MSam(backbone, channels)
        model.load_sam(sam)
        adapt_tucker(model.image_encoder, len(channels), params)
    # The model that is trained here says which keys there are, in which shapes, and what stays frozen.
    own = model.state_dict()
    source = {name: _key(name, list(channels)) for name in own}
    unused = [key for key in state if key.startswith(_UNUSED)]
    missing = sorted(set(source.values()) - set(state))
    extra = sorted(set(state) - set(source.values()) - set(unused))
    if missing or extra:
        parts = [f"misses {len(missing)} keys ('{missing[0]}')" if missing else ""]
        parts += [f"has {len(extra)} unknown keys ('{extra[0]}')" if extra else ""]
        message = f"is no model of the released code: {'; '.join(part for part in parts if part)}"
        raise CheckpointError(message, where=where, hint=_FIX)
    rows = dict(zip(channels, _rows(state, channels, where), strict=True))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = {}
    for name, like in own.items():
        task = name.removeprefix("no_mask.")
        value = rows[task] if task != name else state[source[name]]
        problem = no_weights(value)
        if value.shape != like.shape:
            problem = f"has shape {tuple(value.shape)}, expected {tuple(like.shape)}"
        elif not problem and name not in trained and not name.startswith("decoders."):
            # the parts of a decoder that nothing reads are moved there by weight decay: they are left
            same = value.dtype == like.dtype and torch.equal(value, like)
            problem = "" if same else "is not trained there, and not that of the given SAM weights"
        if problem:
            raise CheckpointError(f"'{source[name]}' {problem}", where=where, hint=_FIX)
        if name in trained:
            found[name] = value.to(like.dtype).contiguous()
    return Released({"ranks": params["ranks"], "targets": targets}, found, unused)


def _key(name: str, tasks: list[str]) -> str:
    """The released code's key of one of `MSam`'s."""
    head, _, rest = name.partition(".")
    if head == "no_mask":
        return "prompt_encoder.no_mask_embed.weight"
    if head == "decoders":
        task, _, rest = rest.partition(".")
        return f"mask_decoder.{tasks.index(task)}.{rest}"
    if head == "pe_layer":
        return f"prompt_encoder.{name}"
    return name.replace(f"{_QKV}base.", _QKV).replace(f"{_QKV}factors.", f"{_QKV}td_")


def _ranks(state: Mapping[str, Tensor], where: str) -> tuple[int, ...]:
    core = state.get(f"{_FIRST}td_G")
    if core is None or core.ndim != 3:
        raise CheckpointError(
            f"is no model of the released code: no core '{_FIRST}td_G' (p, q, v)",
            where=where,
            hint="give the state dict of its model alone, as torch.save(model.state_dict()) writes it",
        )
    return tuple(core.shape)


def _rows(state: Mapping[str, Tensor], channels: Mapping[str, int], where: str) -> tuple[Tensor, ...]:
    """Each task's rows of the "no mask" embedding."""
    rows, total = state["prompt_encoder.no_mask_embed.weight"], sum(channels.values())
    if len(rows) != total:
        raise CheckpointError(
            f"has {len(rows)} 'no mask' rows, the tasks have {total} channels", where=where, hint=_FIX
        )
    return rows.split(list(channels.values()))
