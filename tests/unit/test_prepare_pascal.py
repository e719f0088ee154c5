"""PASCAL-Context from an archive and from a folder, honest and hostile."""

import gzip
import tarfile
import tracemalloc

import pytest
from prepare_sources import PASCAL, pascal_files, write_pascal, write_tar, write_tree

from tabench.data.prepare import Request, prepare
from tabench.data.prepare.archives import Budget
from tabench.data.prepare.tarball import members
from tabench.errors import DataError, SpecError


def files_of(root):
    own = {"prepare.json", "SHA256SUMS"}
    return {
        name: path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and (name := path.relative_to(root).as_posix()) not in own
    }


def run(source, root):
    return prepare("pascal_context", Request((source,), root, workers=2))


def test_an_archive_becomes_its_folders(tmp_path):
    named = {f"PASCAL_MT/{name}": data for name, data in pascal_files().items()}
    outcome = run(write_tar(tmp_path / "in.tgz", named), tmp_path / "out")
    assert files_of(tmp_path / "out") == pascal_files()
    assert outcome.counts == {split: len(ids) for split, ids in PASCAL.items()}
    assert outcome.written == len(pascal_files())
    assert outcome.notes == [
        "train: 2 images, published are 4998",
        "val: 1 images, published are 5105",
    ]


def test_archive_folder_and_in_place_agree(tmp_path):
    folder = write_tree(tmp_path / "in" / "PASCAL_MT", pascal_files())
    run(tmp_path / "in", tmp_path / "a")
    run(folder, tmp_path / "b")
    run(write_pascal(tmp_path / "in.tgz"), tmp_path / "c")
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in "abc"]
    assert sums[0] == sums[1] == sums[2]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    outcome = run(folder, folder)
    assert (outcome.written, outcome.kept) == (0, len(pascal_files()))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert run(folder, folder).kept == len(pascal_files())  # its own prepare.json is no part of it


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_a_stopped_call_goes_on_and_writes_other_content_of_the_same_size_anew(tmp_path, form):
    archive = form == "archive"
    source = write_pascal(tmp_path / "in.tgz") if archive else write_tree(tmp_path / "in", pascal_files())
    out, first = tmp_path / "out", "JPEGImages/2008_000002.jpg"

    def stop(done, total, what):
        if (out / first).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("pascal_context", Request((source,), out, progress=stop))
    there = len(files_of(out))
    assert 0 < there < len(pascal_files())
    write_tree(out, {first: b"x" * len(pascal_files()[first])})
    outcome = run(source, out)
    assert (outcome.kept, outcome.written) == (there - 1, len(pascal_files()) - there + 1)
    assert files_of(out) == pascal_files()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("sal_distill/2009_000011.png", r"1 of 3 images are incomplete: train/2009_000011 lacks saliency"),
        ("human_parts/2010_000003.mat", r"val/2010_000003 lacks parts"),
        ("semseg/VOC12/2009_000011.png", r"train/2009_000011 lacks label"),
        ("JPEGImages/2008_000002.jpg", r"train/2008_000002 lacks image"),
        ("pascal-context/trainval/2008_000002.mat", r"train/2008_000002 lacks context"),
        ("ImageSets/Context/val.txt", r"ImageSets/Context/val.txt is missing"),
        ("ImageSets/Context/train.txt", r"0 folders with ImageSets/Context/train.txt"),
    ],
)
def test_missing_files_are_named_before_anything_is_written(tmp_path, gone, message):
    with pytest.raises(DataError, match=message) as caught:
        run(write_pascal(tmp_path / "in.tgz", **{gone: None}), tmp_path / "out")
    assert "PASCAL_MT.tgz is linked from" in str(caught.value)
    assert not (tmp_path / "out").exists()
    files = {name: data for name, data in pascal_files().items() if name != gone}
    with pytest.raises(DataError, match=message):
        run(write_tree(tmp_path / "in", files), tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"../../etc\n", b"2008_000002\n2008_000002\n", b"\xff\xfe", b"2010_000003\n"]
)
def test_wrong_lists(tmp_path, content):
    source = write_pascal(tmp_path / "in.tgz", **{"ImageSets/Context/train.txt": content})
    with pytest.raises(
        DataError, match=r"names no image|listed twice|not an image's name|not a readable list|in both lists"
    ) as caught:
        run(source, tmp_path / "out")
    assert "ImageSets/Context/train.txt" in str(caught.value) or "in both" in str(caught.value)
    assert not (tmp_path / "out").exists()


def info(name, kind=tarfile.REGTYPE, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (info("/etc/tabench-test"), "is an absolute path"),
        (info("PASCAL_MT/../../outside.txt"), "points out of the folder"),
        (info("..\\outside.txt"), "has a character"),
        (info("C:/outside.txt"), "has a character"),
        (info("PASCAL_MT/link", tarfile.SYMTYPE, "../../../etc/passwd"), "link out of the archive"),
        (info("PASCAL_MT/link", tarfile.SYMTYPE, "/etc/passwd"), "link out of the archive"),
        (info("PASCAL_MT/link", tarfile.LNKTYPE, "../x"), "link out of the archive"),
        (info("PASCAL_MT/link", tarfile.SYMTYPE, "JPEGImages"), "is no file of the archive"),
        (info("PASCAL_MT/null", tarfile.CHRTYPE), "is a device"),
        (info("PASCAL_MT/pipe", tarfile.FIFOTYPE), "is a device"),
    ],
)
def test_hostile_members_leave_nothing_behind(tmp_path, entry, message):
    source = write_pascal(tmp_path / "in.tgz", [(entry, b"")])
    with pytest.raises(DataError, match=message) as caught:
        run(source, tmp_path / "deep" / "out")
    assert repr(entry.name) in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tgz"]


def test_links_inside_become_copies(tmp_path):
    name = "sal_distill/2008_000002.png"
    source = write_pascal(
        tmp_path / "in.tgz",
        [
            (info(f"PASCAL_MT/{name}", tarfile.SYMTYPE, "2009_000011.png"), b""),
            (info("PASCAL_MT/same.png", tarfile.LNKTYPE, "PASCAL_MT/sal_distill/2010_000003.png"), b""),
        ],
        **{name: None},
    )
    run(source, tmp_path / "out")
    held = pascal_files()
    assert (tmp_path / "out" / name).read_bytes() == held["sal_distill/2009_000011.png"]
    assert not (tmp_path / "out" / name).is_symlink()
    assert (tmp_path / "out" / "same.png").read_bytes() == held["sal_distill/2010_000003.png"]


def test_sources_that_are_none(tmp_path):
    (tmp_path / "text.tgz").write_bytes(b"hello" * 500)
    with pytest.raises(DataError, match=r"text\.tgz: not a whole .tgz archive"):
        run(tmp_path / "text.tgz", tmp_path / "out")
    with pytest.raises(DataError, match="no such file or folder"):
        run(tmp_path / "none.tgz", tmp_path / "out")
    with pytest.raises(SpecError, match="one source"):
        prepare("pascal_context", Request((tmp_path / "in.tgz",) * 2, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"members": 5}, "'d' is number 6, more than 5"),
        ({"largest": 9}, "'a' unpacks to 10 bytes, at most 9"),
        ({"total": 35}, "brings the unpacked size to 40 bytes, at most 35"),
    ],
)
def test_bombs(tmp_path, limits, message):
    source = write_tar(tmp_path / "in.tgz", dict.fromkeys("abcxyd", b"0" * 10))
    with pytest.raises(DataError, match=message):
        list(members(source, Budget(str(source), **limits)))


def test_a_header_that_asks_for_gigabytes(tmp_path):
    forged = tarfile.TarInfo("header")
    forged.type, forged.size = tarfile.XHDTYPE, 3 << 30
    source = tmp_path / "in.tgz"
    source.write_bytes(gzip.compress(forged.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096))
    with pytest.raises(DataError, match="a header of 3221225472 bytes"):
        list(members(source, Budget(str(source))))


@pytest.mark.parametrize(
    ("headers", "size", "message"),
    [(10, 200_000, "unpacks to more than 1050576 bytes"), (3000, 10, "headers inside headers")],
)
def test_headers_without_end(tmp_path, headers, size, message):
    """Headers count as members of nothing, and each one may be followed by another."""
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, size
    padded = -(-size // 512) * 512
    source = tmp_path / "in.tgz"
    header = name.tobuf(tarfile.GNU_FORMAT) + b"a" * size + b"\0" * (padded - size)
    source.write_bytes(gzip.compress(header * headers))
    with pytest.raises(DataError, match=message):
        list(members(source, Budget(str(source), total=1000)))


def test_a_damaged_archive_is_refused_and_a_stream_of_zeros_stays_small(tmp_path):
    source = write_pascal(tmp_path / "in.tgz")
    whole = source.read_bytes()
    for content in (whole[:-40], whole[: len(whole) // 2], whole[:60] + bytes(80) + whole[140:]):
        source.write_bytes(content)
        with pytest.raises(DataError, match=r"not a whole|damaged|cut off"):
            run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    source.write_bytes(gzip.compress(bytes(1 << 26)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"not a whole \.tgz archive|unpacks to more"):
        list(members(source, Budget("long", total=1000)))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
