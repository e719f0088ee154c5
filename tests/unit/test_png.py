"""What a pixel of a PNG file means: its colour, however the file stores it, or a refusal."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from png_files import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, png, reindexed

from tabench.data.images import Png, open_png
from tabench.data.pascal.classes import VOC_COLOURS, voc_palette
from tabench.data.prepare.cityscapes import map_labels
from tabench.errors import DataError

VOC = voc_palette()
LABELS = np.array([[0, 15, 15, 255], [1, 20, 0, 255]])


def read(data: bytes) -> Png:
    return open_png(io.BytesIO(data), "a.png", most=100, again="again")


def refused(data: bytes, words: str, read_it=lambda found: found.labels(VOC_COLOURS)) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_it(read(data))
    assert caught.value.where == "a.png"
    assert caught.value.hint


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([*range(21), 255]), min_size=8, max_size=8),
    st.permutations(range(14)),
    st.sampled_from([2, 4, 8]),
    st.integers(0, 3),
    st.booleans(),
)
def test_no_order_of_a_palette_changes_a_label(labels, order, bits, spare, greys):
    """The same picture as palette in any order and depth, as colours and with an opaque alpha."""
    stored = np.array(labels).reshape(2, 4)
    colours = np.repeat(stored[..., None], 3, axis=2).astype(np.uint8) if greys else VOC[stored]
    spare = min(spare, 2**bits - len(np.unique(stored)))
    if spare < 0:
        bits, spare = 4, 0
    entries = len(np.unique(stored)) + spare
    order = np.array([place for place in order if place < entries])
    alpha = np.full((2, 4, 1), 255)
    for data in (
        reindexed(colours, order, bits, spare),
        png(colours, RGB),
        png(np.concatenate([colours, alpha], axis=2), RGB_ALPHA),
    ):
        np.testing.assert_array_equal(read(data).labels(VOC_COLOURS), stored)
        if greys:
            np.testing.assert_array_equal(read(data).greys(), stored)
            np.testing.assert_array_equal(read(data).labels(), stored)
        np.testing.assert_array_equal(read(data).colours(), colours)


def test_grey_files_hold_the_class_itself():
    for data in (
        png(LABELS, GREY),
        png(LABELS, GREY, 16),
        png(np.stack([LABELS, np.full_like(LABELS, 255)], axis=2), GREY_ALPHA),
        reindexed(np.repeat(LABELS[..., None], 3, axis=2).astype(np.uint8), np.array([4, 2, 0, 3, 1])),
    ):
        np.testing.assert_array_equal(read(data).labels(VOC_COLOURS), LABELS)
        np.testing.assert_array_equal(read(data).labels(), LABELS)
    # VOC's car is a grey that is no class: what an optimiser stores of cars on background
    np.testing.assert_array_equal(read(png(np.array([[0, 128]]), GREY)).labels(VOC_COLOURS), [[0, 7]])


def test_an_optimised_label_file_of_cityscapes_keeps_its_categories():
    """Indices in the order of first use: taken for ids, all of them would be unlabelled or road."""
    ids = np.array([[7, 8, 26, 24, 21, 23, 4, 7]])
    colours = np.repeat(ids[..., None], 3, axis=2).astype(np.uint8)
    data = reindexed(colours, np.arange(7), bits=4)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "P"
        assert np.asarray(picture).max() == 6
    seven, nineteen = map_labels(read(data).labels(), "a.png")
    np.testing.assert_array_equal(seven, [[0, 0, 6, 5, 3, 4, -1, 0]])
    np.testing.assert_array_equal(nineteen, [[0, 1, 13, 11, 8, 10, -1, 0]])
    refused(png(ids[..., None] * [1, 2, 3], RGB), r"colour \(4, 8, 12\) is not grey", Png.labels)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_grey_are_white_for_saliency_and_unknown_for_classes(bits):
    white = 2**bits - 1
    data = png(np.array([[0, white], [white, 0]]), GREY, bits)
    np.testing.assert_array_equal(read(data).greys(), [[0, 255], [255, 0]])
    refused(data, f"{bits}-bit PNG .* class 1 or white")
    np.testing.assert_array_equal(
        read(png(np.zeros((2, 2)), GREY, bits)).labels(VOC_COLOURS), np.zeros((2, 2))
    )


def test_what_could_mean_two_things_is_refused():
    classes, pink = np.array([[0, 1], [2, 1]]), [[0, 0, 0], [255, 0, 200], [0, 128, 0]]
    refused(png(classes, PALETTE, palette=pink), r"colour \(255, 0, 200\) is neither .* nor grey")
    refused(png(classes, PALETTE, palette=VOC[:2]), "palette index 2 of 2 colours")
    refused(png(VOC[classes], RGB, 16), "16-bit PNG of mode RGB")
    refused(png(classes, GREY, 16), "16-bit", Png.greys)
    refused(png(classes, PALETTE, palette=pink), "not grey", Png.greys)
    refused(png(classes, GREY), "expected RGB", Png.colours)
    refused(png(classes, GREY), "mode L, expected I;16", Png.sixteen_bits)
    lossy = io.BytesIO()
    Image.fromarray(LABELS.astype(np.uint8)).save(lossy, "JPEG")
    refused(lossy.getvalue(), "not a PNG")


def test_a_pixel_that_is_transparent_has_no_colour():
    classes, sixteen = np.array([[0, 1], [2, 1]]), np.array([[300, 301]])
    for data in (
        png(classes, GREY, clear=b"\0\2"),
        png(classes, PALETTE, palette=VOC[:4], clear=b"\xff\0"),
        png(classes, PALETTE, palette=VOC[:4], clear=b"\xff\x80\x70"),
        png(VOC[classes], RGB, clear=b"\0\x80\0\0\0\0"),
        png(np.stack([classes, classes], axis=2), GREY_ALPHA),
        png(sixteen, GREY, 16, clear=b"\1\x2c"),
    ):
        refused(data, "transparent")
    refused(png(np.array([[0, 3]]), GREY, 2, clear=b"\0\3"), "transparent", Png.greys)
