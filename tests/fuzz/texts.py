"""Texts that people write: experiments, claims, options, Slurm settings, published values, split lists."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from spec_samples import RESOLVED, TEXT

from fuzz.mutation import damaged
from fuzz.target import Target, reading
from tabench.data.pascal.files import read_list
from tabench.errors import SpecError
from tabench.report.records.published import read_rows
from tabench.runs.slurm_settings import read_settings
from tabench.spec.claims import load_claims
from tabench.spec.expand import expand, labels
from tabench.spec.experiment import load_experiment

ROOT = Path(__file__).parents[2]
VARIANT = """
[[profiles.demo.variants]]
method = "lora-stl"
params = { rank = 4 }
"""
SMALL = TEXT + VARIANT
NUMBERS = ("nan", "inf", "-inf", "1e400", "-1", "0", "+1.5", "1_000", "0o7", "2147483648")
NUMBERS += ("9223372036854775808", "1" + "0" * 5000, "0x" + "f" * 5000)
STRINGS = ('""', '"\\u0000"', '"\\u001b[31m"', '"<script>"', "'../../x'", "'''\n'''", '"ta-lora"')
STRINGS += ('"' + "x" * 100_000 + '"', "true", "1979-05-27", "07:32:00")
LISTS = ("[]", "[0, 0]", '["depth", "depth"]', "[[[1]]]", "[8, 8]", "[8, 8, 10000000000]", "[1e308, nan, 3]")
DEEP = ("{}", "[" * 500 + "]" * 500, "[" * 100_000, "{a=" * 200 + "1" + "}" * 200)
LONG = ("[" + ",".join(map(str, range(20_000))) + "]", "[" + "{a=1}," * 2000 + "]")
VALUES = (*NUMBERS, *STRINGS, *LISTS, *DEEP, *LONG)
TOP = ("schema", "name", "title", "base", "axes", "axes.seeds", "axes.methods", "methods.x", "variants")
PARTS = ("evaluation", "train", "train.task_weights.depth", "method.params.rank", "dataset.generate")
OTHERS = ("report.grid", "report.published", "profiles", "a.b.c", "__class__", '"\\u0000"', '""')
PROFILE = ("train.lr", "train.epochs", "train.task_weights", "methods.ta-lora.ranks", "dataset.tasks")
PROFILE += ("variants", "evaluation.every", "backbone.checkpoint")
KEYS = (*TOP, *PARTS, *OTHERS, *(f"profiles.demo.{key}" for key in PROFILE), ".".join("a" * 5000))
WHOLE = (
    b"",
    b"\xef\xbb\xbf" + SMALL.encode(),
    SMALL.encode("utf-16"),
    SMALL.encode().replace(b"\n", b"\r\n"),
    b"\xff",
    b"\0" * 9,
    b"[a]\n[a]",
    b"a = 1\na = 2",
    b"[" * 100_000,
    b"[" + b"a." * 50_000 + b"a]",
    b"a." * 20_000 + b"a = 1",
    b"x = '''",
    b"[[a]]\n" * 20_000,
    b"# " + b"x" * 1_000_000,
    b"a = {" + b"b = {" * 3000,
)


@st.composite
def tomls(draw: DrawFn, good: str) -> bytes:
    """A valid file with lines replaced, added or removed."""
    lines = good.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition(" = ")
        what = draw(st.sampled_from(["value", "value", "value", "key", "gone", "twice"]))
        if what == "value" and equals:
            lines[at] = f"{key} = {draw(st.sampled_from(VALUES))}"
        elif what == "key":
            lines.insert(
                draw(st.sampled_from([0, at])),
                f"{draw(st.sampled_from(KEYS))} = {draw(st.sampled_from(VALUES))}",
            )
        elif what == "gone" and len(lines) > 1:
            del lines[at]
        else:
            lines.insert(at, lines[at])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def files_of(good: str) -> SearchStrategy[bytes]:
    """TOML files that start from a valid one."""
    return st.one_of(
        tomls(good), tomls(good), damaged([good.encode()]), st.sampled_from([good.encode(), *WHOLE])
    )


def _experiment(path: Path) -> object:
    experiment = load_experiment(path)
    return [labels(expand(experiment, name, RESOLVED)) for name in experiment.profiles]


def _set() -> Target:
    pairs = st.tuples(
        st.sampled_from(
            [*KEYS, "train.epochs", "train.lr", "[a]#", "a = 1 #", " ", "a\tb", "a b", "=", "train", "x#"]
        ),
        st.sampled_from([*VALUES, "2", "0.1", "1 #", "1\n[axes]", "", " ", "{", "'", "#"]),
    )
    inputs = st.one_of(
        pairs.map(lambda pair: f"{pair[0]}={pair[1]}".encode("utf-8", "surrogatepass")),
        damaged([b"train.epochs=2", b"axes.seeds=[0, 1]", b'dataset.tasks=["depth"]']),
    )

    def use(content: bytes, folder: Path) -> object:
        path = folder / "set.toml"
        if not path.exists():
            path.write_text(SMALL)
        return expand(load_experiment(path), "demo", RESOLVED, [content.decode("utf-8", "replace")])

    return Target("--set", inputs, use, "set")


def _slurm(path: Path) -> object:
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    with contextlib.suppress(SpecError):
        read_settings([lines[-1] if lines else ""])
    return read_settings([str(path)])


def _toml(name: str, file: str, good: str, read: Callable[[Path], object]) -> Target:
    return reading(name, file, files_of(good), read)


def _published() -> Target:
    good = (ROOT / "experiments" / "published" / "nyuv2.csv").read_bytes()[:3000].rpartition(b"\n")[0] + b"\n"
    head = good.split(b"\n")[0]
    odd = [
        head + b"\n" + b'"' * 9,
        head + b"\n" + b"a," * 20,
        head + b"\n" + b"x" * 300_000,
        b"\0",
        b"",
        head,
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
        head + b"\n\n\n",
        head * 2,
        good.replace(b",", b";"),
        good.replace(b"\n", b"\r"),
        b'"' + b"x" * 200_000,
    ]

    inputs = st.one_of(damaged([good]), damaged([good], head=300), st.sampled_from([good, *odd]))
    return reading("published csv", "values.csv", inputs, read_rows)


def _list() -> Target:
    odd = [b"", b"../x\n", b"/etc/passwd\n", b"a b\n", b"a\0\n", b"\xff\n", "é\n".encode()]
    odd += [b"a\na\n", b"a\n" * 9, b"x" * 100_000]
    inputs = st.one_of(damaged([b"2008_000002\n2009_000011\n"]), st.sampled_from(odd))
    place = "ImageSets/Context/train.txt"
    return reading("split list", place, inputs, lambda path: read_list(path.parents[2], "train", hint="-"))


CLAIMS = (ROOT / "experiments" / "published" / "claims.toml").read_text(encoding="utf-8")
SLURM = '[slurm]\npartition = "gpu"\ntime = "1:00:00"\ncpus = 4\n'
TARGETS: dict[str, Callable[[], Target]] = {
    "experiment": partial(_toml, "experiment", "small.toml", SMALL, _experiment),
    "--set": _set,
    "claims": partial(_toml, "claims", "claims.toml", CLAIMS, load_claims),
    "slurm settings": partial(_toml, "slurm settings", "cluster.toml", SLURM, _slurm),
    "published csv": _published,
    "split list": _list,
}
