import numpy as np
import pytest
from nyu_folder import save, write_folder

from tabench.data.draws import training_part
from tabench.data.nyuv2 import NYUV2


def test_636_are_those_of_the_authors_code():
    drawn = training_part(795)
    np.random.seed(688)
    np.testing.assert_array_equal(drawn, np.random.choice(795, 636, replace=False))
    assert drawn[:5].tolist() == [43, 739, 300, 278, 180]
    rest = sorted(set(range(795)) - set(drawn.tolist()))
    assert len(rest) == 159
    assert rest[:3] == [3, 4, 10]


def test_full_training_folder_splits_into_636_and_159(tmp_path):
    for kind in ("image", "label", "depth", "normal"):
        folder = tmp_path / "train" / kind
        folder.mkdir(parents=True)
        for number in range(795):
            (folder / f"{number}.npy").touch()
    kept = NYUV2.split(tmp_path, "train-636").ids
    held = NYUV2.split(tmp_path, "train-159").ids
    assert (len(kept), len(held)) == (636, 159)
    assert held[:3] == ["train/3", "train/4", "train/10"]
    numbers = [int(name.split("/")[1]) for name in kept]
    assert numbers == sorted(numbers)
    assert sorted(numbers) == sorted(training_part(795).tolist())


@pytest.mark.parametrize("count", [1, 5, 16, 64])
def test_other_counts_split_80_to_20_without_overlap(tmp_path, count):
    root = write_folder(tmp_path, train=count, val=1, height=4, width=4)
    kept = NYUV2.split(root, "train-636").ids
    held = NYUV2.split(root, "train-159").ids
    assert len(kept) == round(0.8 * count)
    assert sorted(kept + held) == sorted(NYUV2.split(root, "train").ids)


def test_split_is_over_positions_where_numbers_have_gaps(tmp_path):
    root = write_folder(tmp_path, train=3)
    for kind in ("image", "label", "depth", "normal"):
        array = np.load(root / "train" / kind / "0.npy")
        save(root, "train", kind, 900, array)
    split = NYUV2.split(root, "train")
    assert split.ids[-1] == "train/900"
    assert split.load(3).id == "train/900"
    assert set(NYUV2.split(root, "train-636").ids) <= set(split.ids)
