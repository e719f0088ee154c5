"""Which modules are still as SAM was built, so that a path may read their parts instead of calling them.

The fast path (`encoding`, `decoding`) computes what some of SAM's modules compute without calling them. That
is right only while they are what it takes them for: of SAM's own type, with the settings and shapes they were
built with, with the forward that came with the type, and with nothing hooked onto them. All of this can
change after a model is built (a method replaces a block, a hook is registered, a class is patched), so it is
asked at each pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, Final, Protocol, runtime_checkable

import torch.nn.modules.module as torch_hooks
from segment_anything.modeling import image_encoder
from torch import Tensor, nn

from tabench.encoders.base import touched

_PLAIN = (bool, int, float, str, tuple, type(None))  # of what settings are made
_HELPERS: Final = ("window_partition", "window_unpartition", "get_rel_pos", "add_decomposed_rel_pos")
_TRACKER: Final = "torch.utils.module_tracker"  # counts FLOPs a module and changes nothing


@dataclass(frozen=True)
class Made:
    """What a module was when it was built.

    Attributes:
        settings: Its attributes that are numbers, words or tuples of them.
        shapes: Shape of each of its own parameters; None where it has none of that name.
        layers: Names of what a `Sequential` runs in turn; None of other types, whose forward names them.
    """

    kind: type[nn.Module]
    settings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...] | None]
    layers: tuple[str, ...] | None


Built = Mapping[str, Made]


@runtime_checkable
class RowWise(Protocol):
    """What an adapted layer declares, so that the fast path may feed it other rows than SAM's forward does.

    With `row_wise`, every row of the output depends on the same row of the input alone, and on its task. A
    class says so for itself: a subclass, which may compute something else, has to say it again. `at_zero`
    (k,) is what it makes of an input of 0, the same for every task; None where that is unknown.
    """

    row_wise: bool
    at_zero: Tensor | None

    def spread(self, x: Tensor) -> Tensor:
        """Every task's output (T*B, ..., k), task-major, for an input (B, ..., d) that all tasks share."""
        ...


def note(root: nn.Module) -> None:
    """Let a tree of modules remember how it was built, as its `as_built`."""
    root.as_built = {name: _made(module) for name, module in root.named_modules()}  # type: ignore[assignment]


def built(root: nn.Module) -> Built:
    """What `note` left with a tree; empty for one that it has never seen."""
    found: Built = vars(root).get("as_built", {})
    return found


def is_own(root: nn.Module, *names: str) -> bool:
    """Whether modules of a tree are still as they were built."""
    return first_foreign(root, names) is None


def first_foreign(root: nn.Module, names: Iterable[str]) -> str | None:
    """The first of some modules of a tree that is not as it was built, "" for the root; None if all are."""
    made = built(root)
    kinds: dict[type[nn.Module], bool] = {}
    for name in names:
        found, module = made.get(name), _find(root, name)
        if found is None or module is None or not _same(module, found):
            return name
        # Asked once a type and call: this runs at every forward pass.
        if found.kind not in kinds:
            kinds[found.kind] = _as_written(found.kind)
        if not kinds[found.kind]:
            return name
    return None


def _find(root: nn.Module, name: str) -> nn.Module | None:
    """As `get_submodule`, which takes much longer."""
    module: nn.Module | None = root
    for key in name.split(".") if name else ():
        module = module._modules.get(key) if module is not None else None
    return module


def is_row_wise(layer: object) -> bool:
    """Whether a layer declares what `RowWise` says, and has neither hooks nor methods of its own."""
    kind = type(layer)
    return (
        isinstance(layer, nn.Module)
        and "row_wise" in vars(kind)
        and isinstance(layer, RowWise)
        and layer.row_wise is True
        and all(map(_as_written, kind.__mro__[: kind.__mro__.index(nn.Module)]))
        and not any(touched(module) for module in layer.modules())
    )


def watched() -> bool:
    """Whether hooks see every module of this process, or SAM's own helpers have been replaced."""
    return not _helpers_as_written() or _hooked()


def changed_for_all(*roots: nn.Module) -> str | None:
    """What changes every model of this process, not these alone, in words; None if nothing does."""
    for root in roots:
        for kind in {made.kind for made in built(root).values()}:
            if not _as_written(kind):
                return f"a function of the class {kind.__name__} was replaced"
    if not _helpers_as_written():
        return f"a function of {image_encoder.__name__} was replaced"
    return "a hook sees every module" if _hooked() else None


def _hooked() -> bool:
    hooks = (
        hook
        for found in ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
        for hook in getattr(torch_hooks, f"_global_{found}").values()
    )
    return any(getattr(hook, "__module__", "") != _TRACKER for hook in hooks)


def strangers(root: nn.Module) -> Iterator[str]:
    """Names of all modules, parameters and buffers of a tree that it was not built with, or has no more."""
    made = built(root)
    modules = dict(root.named_modules(remove_duplicate=False))  # one module in two places is two findings
    for name, module in modules.items():
        if name not in made or not is_own(root, name):
            yield name or type(root).__name__
            continue
        own = {*module._parameters, *module._buffers}
        yield from (f"{name}.{key}".lstrip(".") for key in own if key not in made[name].shapes)
    yield from (name for name in made if name not in modules)


def _made(module: nn.Module) -> Made:
    settings = {
        key: value for key, value in vars(module).items() if isinstance(value, _PLAIN) and key != "training"
    }
    return Made(type(module), settings, _shapes(module), _layers(module))


def _layers(module: nn.Module) -> tuple[str, ...] | None:
    return tuple(module._modules) if isinstance(module, nn.Sequential) else None


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...] | None]:
    held = module._parameters
    return {key: None if value is None else tuple(value.shape) for key, value in held.items()}


def _same(module: nn.Module, made: Made) -> bool:
    if type(module) is not made.kind or touched(module) or not made.settings.items() <= vars(module).items():
        return False
    if _layers(module) != made.layers:
        return False
    parameters = module._parameters
    for key, shape in made.shapes.items():
        parameter = parameters.get(key)
        if (None if parameter is None else parameter.shape) != shape:
            return False
    return True


@cache
def _written(kind: type) -> tuple[tuple[str, FunctionType], ...] | None:
    """A type's own functions; None where they come from several files, that is, some were put there later."""
    found = tuple((name, value) for name, value in vars(kind).items() if isinstance(value, FunctionType))
    return found if len({value.__code__.co_filename for _, value in found}) <= 1 else None


def _as_written(kind: type) -> bool:
    """Whether no function of a type has been replaced, before it was first seen here or since."""
    functions, held = _written(kind), vars(kind)
    return functions is not None and all(held.get(name) is value for name, value in functions)


@cache
def _helpers() -> Mapping[str, object]:
    return {name: getattr(image_encoder, name) for name in _HELPERS}


def _helpers_as_written() -> bool:
    # A function patched in before this package was imported has another file than SAM's own.
    home = image_encoder.Block.__init__.__code__.co_filename
    return all(
        isinstance(value, FunctionType)
        and value.__code__.co_filename == home
        and getattr(image_encoder, name) is value
        for name, value in _helpers().items()
    )
