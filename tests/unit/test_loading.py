import math
import threading
import time
from itertools import count, islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nyu_folder import image_arrays, save, write_folder
from patience import until
from torch.utils.data import DistributedSampler

from tabench.data import loading
from tabench.data.base import Split
from tabench.data.loading import batches, evaluation_batches, prefetched
from tabench.data.nyuv2 import NYUV2
from tabench.errors import DataError, SpecError


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return NYUV2.split(write_folder(tmp_path_factory.mktemp("nyu"), train=7), "train")


def assert_same(a, b, tolerance=0.0):
    assert a.ids == b.ids
    assert a.indices == b.indices
    torch.testing.assert_close(a.image, b.image, rtol=0, atol=tolerance)
    assert a.targets.keys() == b.targets.keys()
    for kind in a.targets:
        allowed = tolerance if kind == "normal" else 0
        torch.testing.assert_close(a.targets[kind], b.targets[kind], rtol=0, atol=allowed)


class Own(Split):
    """A split that augments in its `load`, and names no augmentation."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    @property
    def ids(self):
        return self.split.ids

    def load(self, index, *, draw=None):
        return self.split.load(index, draw=draw)


AUGMENT = st.sampled_from(["none", "clean", "paper"])


@given(st.integers(0, 99), st.integers(0, 9), st.integers(1, 9), AUGMENT, st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_starting_later_gives_the_tail_of_the_full_pass(split, seed, epoch, size, augment, ahead):
    options = {"seed": seed, "epoch": epoch, "batch_size": size, "augment": augment}
    full = list(batches(split, **options))
    assert len(full) == math.ceil(len(split) / size)
    assert sorted(i for batch in full for i in batch.indices) == list(range(7))
    assert len(full[-1].ids) == (7 % size or size if size <= 7 else 7)
    for start in range(len(full) + 1):
        tail = list(batches(split, **options, start=start, prefetch=ahead))
        assert len(tail) == len(full) - start
        for one, other in zip(tail, full[start:], strict=True):
            assert_same(one, other)


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2), st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_shares_of_processes_are_the_batches_of_one(split, epoch, size, processes, ahead, filled):
    options = {"seed": 3, "epoch": epoch, "batch_size": size, "augment": "clean", "filled": filled}
    shares = [
        list(batches(split, **options, share=(rank, processes), prefetch=ahead)) for rank in range(processes)
    ]
    for whole, *parts in zip(batches(split, **options), *shares, strict=True):
        assert {part.effective for part in parts} == {len(whole.ids)}
        assert sorted(len(part.ids) for part in parts) == sorted(
            len(whole.ids[rank::processes]) for rank in range(processes)
        )
        found = {at: image for part in parts for at, image in zip(part.indices, part.image, strict=True)}
        assert set(found) == set(whole.indices)
        for at, image in zip(whole.indices, whole.image, strict=True):
            assert torch.equal(found[at], image)


@given(st.integers(0, 9), st.integers(1, 17))
@settings(max_examples=25, deadline=None)
def test_a_filled_epoch_ends_with_what_it_began_with_as_torchs_sampler_does(split, epoch, size):
    options = {"seed": 3, "epoch": epoch, "batch_size": size, "augment": "paper"}
    short, filled = list(batches(split, **options)), list(batches(split, **options, filled=True))
    assert len(filled) == len(short) == math.ceil(7 / size)
    assert {batch.effective for batch in filled} == {size}
    order = [name for batch in short for name in batch.ids]
    shared = [
        list(DistributedSampler(order, num_replicas=size, rank=rank, shuffle=False)) for rank in range(size)
    ]
    expected = [tuple(order[i] for i in ranks) for ranks in zip(*shared, strict=True)]
    assert [batch.ids for batch in filled] == expected
    for one, other in zip(filled, short, strict=True):
        assert torch.equal(one.image[: len(other.ids)], other.image)


def test_an_image_seen_twice_is_augmented_by_draws_of_its_own(split):
    alike = 0
    for epoch in range(8):
        first, *_, last = batches(split, seed=0, epoch=epoch, batch_size=4, augment="paper", filled=True)
        assert last.ids[3] == first.ids[0]
        alike += torch.equal(last.image[3], first.image[0])
    assert alike < 4  # factor, place and side agree now and then
    first, *_, last = batches(split, seed=0, epoch=0, batch_size=4, augment="none", filled=True)
    assert torch.equal(last.image[3], first.image[0])


def test_an_augmentation_that_there_is_not_is_refused(split):
    with pytest.raises(SpecError, match="no augmentation of the released code"):
        batches(Own(split), seed=0, epoch=0, batch_size=1, augment="paper")
    with pytest.raises(ValueError, match="got True"):  # what it was called before there were two
        batches(split, seed=0, epoch=0, batch_size=1, augment=True)


@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_evaluation_batches_are_dealt_out_whole(split, size, processes):
    dealt = [list(evaluation_batches(split, size, start=r, stride=processes)) for r in range(processes)]
    for number, whole in enumerate(evaluation_batches(split, size)):
        assert_same(dealt[number % processes][number // processes], whole)
    assert sum(len(batch.ids) for part in dealt for batch in part) == len(split)


def test_epochs_and_seeds_change_order_and_augmentation(split):
    def one_pass(seed, epoch):
        found = {}
        for batch in batches(split, seed=seed, epoch=epoch, batch_size=7, augment="clean"):
            found["order"] = batch.indices
            found["images"] = batch.image[torch.tensor(batch.indices).argsort()]
        return found

    first, again, epoch, seed = one_pass(0, 0), one_pass(0, 0), one_pass(0, 1), one_pass(1, 0)
    assert first["order"] == again["order"]
    assert len({first["order"], epoch["order"], seed["order"]}) == 3
    assert not torch.equal(first["images"], epoch["images"])
    assert not torch.equal(first["images"], seed["images"])


def test_images_of_different_size_cannot_share_a_batch(tmp_path):
    root = write_folder(tmp_path, train=1)
    for kind, array in image_arrays(1, height=10).items():
        save(root, "train", kind, 1, array)
    opened = NYUV2.split(root, "train")
    assert len(list(evaluation_batches(opened, 1))) == 2
    with pytest.raises(DataError, match=r"(?s)train/1: cannot share a batch with train/0.*batch_size to 1"):
        list(evaluation_batches(opened, 2))


@given(st.integers(0, 99), st.integers(0, 9), st.integers(1, 5), AUGMENT, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_device_gets_the_same_batches_as_the_cpu(split, seed, epoch, size, augment, ahead):
    """The way of batches to a device, with the CPU in its place; `tests/gpu` has a real one."""
    options = {"seed": seed, "epoch": epoch, "batch_size": size, "augment": augment, "filled": True}
    expected = list(batches(split, **options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "on_device", lambda device: True)
        for start in (0, 1):
            device = torch.device("cpu")
            found = list(batches(split, **options, start=start, prefetch=ahead, device=device))
            assert len(found) == max(len(expected) - start, 0)
            for one, other in zip(found, expected[start:], strict=True):
                assert_same(one, other, tolerance=1e-6)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("kinds", [{"label"}, {"normal", "depth"}, {"label", "other"}])
def test_unwanted_targets_are_left_out_and_change_nothing_else(split, monkeypatch, moved, kinds):
    monkeypatch.setattr(loading, "on_device", lambda device: moved)
    options = {"seed": 1, "epoch": 4, "batch_size": 2, "augment": "clean", "device": torch.device("cpu")}
    for one, other in zip(batches(split, **options, kinds=kinds), batches(split, **options), strict=True):
        wanted = {kind: target for kind, target in other.targets.items() if kind in kinds}
        assert_same(one, other._replace(targets=wanted))
    found = next(evaluation_batches(split, 2, kinds=kinds))
    assert set(found.targets) == kinds & {"label", "depth", "normal"}


def test_a_split_that_augments_by_itself_does_so_for_a_device_too(split, monkeypatch):
    monkeypatch.setattr(loading, "on_device", lambda device: True)
    options = {"seed": 1, "epoch": 2, "batch_size": 3, "augment": "clean", "device": torch.device("cpu")}
    only = next(batches(Own(split), **options, kinds={"depth"}))
    assert_same(only, next(batches(split, **options, kinds={"depth"})), tolerance=1e-6)
    for one, other in zip(batches(Own(split), **options), batches(split, **options), strict=True):
        assert_same(one, other, tolerance=1e-6)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tabench-prefetch")]


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
def test_items_come_unchanged_in_order(ahead):
    assert list(prefetched(iter(range(20)), ahead)) == list(range(20))
    assert list(prefetched([], ahead)) == []
    assert list(prefetched([None, 1, None], ahead)) == [None, 1, None]
    assert threads() == []


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_is_raised_where_it_happened(ahead):
    def failing():
        yield 1
        yield 2
        raise OSError("disk gone")

    iterator = prefetched(failing(), ahead)
    assert [next(iterator), next(iterator)] == [1, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(iterator)
    assert threads() == []


def test_closing_early_ends_the_thread_even_of_an_endless_source():
    iterator = prefetched(count(), 2)
    assert list(islice(iterator, 5)) == [0, 1, 2, 3, 4]
    assert len(threads()) == 1
    iterator.close()
    assert threads() == []


def test_at_most_the_asked_number_is_computed_ahead():
    made = []

    def source():
        for i in range(50):
            made.append(i)
            yield i

    iterator = prefetched(source(), 3)
    next(iterator)
    until(lambda: len(made) >= 5, "the reading ahead")
    time.sleep(0.1)  # for more, if it took more than it may
    assert len(made) == 5  # the one taken, three waiting, one that waits for room
    iterator.close()
