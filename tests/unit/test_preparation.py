"""What mSAM does to images before the encoder and to masks after the decoder."""

from __future__ import annotations

import pytest
import torch

from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import Backbone
from tabench.errors import SpecError

TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8)


@pytest.mark.parametrize(
    ("size", "inner"),
    [((12, 16), (24, 32)), ((16, 12), (32, 24)), ((32, 32), (32, 32)), ((30, 64), (15, 32))],
)
def test_the_long_side_fills_the_input(size: tuple[int, int], inner: tuple[int, int]) -> None:
    inputs, got = MSam(TINY, {"a": 1}).prepare(torch.full((2, 3, *size), 0.5))
    assert got == inner
    assert inputs.shape == (2, 3, 32, 32)
    torch.testing.assert_close(inputs[..., : inner[0], : inner[1]], torch.full((2, 3, *inner), 0.5))
    assert not inputs[..., inner[0] :, :].any()
    assert not inputs[..., inner[1] :].any()


def test_sam_pixels_are_normalised_before_the_padding() -> None:
    image = torch.rand(1, 3, 24, 32)
    inputs, _ = MSam(TINY, {"a": 1}, "sam").prepare(image)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (TINY.pixel_mean, TINY.pixel_std))
    torch.testing.assert_close(inputs[..., :24, :], (image * 255 - mean) / std, rtol=1e-5, atol=1e-5)
    assert not inputs[..., 24:, :].any()


def test_plain_pixels_stay_as_they_are() -> None:
    image = torch.rand(1, 3, 24, 32)
    assert torch.equal(MSam(TINY, {"a": 1}).prepare(image)[0][..., :24, :], image)


def test_outputs_lose_the_padding() -> None:
    model = MSam(TINY, {"a": 1})
    masks = torch.zeros(1, 1, 16, 16)
    masks[..., 12:, :] = 100.0  # rows 24.. of the input, the padding of a 24x32 image
    restored = model.restore(masks, (24, 32), (12, 16))
    assert restored.shape == (1, 1, 12, 16)
    assert not restored[..., :11, :].any()
    assert model.restore(masks.bfloat16(), (24, 32), (24, 32)).dtype == torch.float32


def test_wrong_requests_are_named() -> None:
    model = MSam(TINY, {"a": 1})
    with pytest.raises(SpecError, match="'b'"):
        model(torch.rand(1, 3, 32, 32), (32, 32), tasks=["b"])
    with pytest.raises(SpecError, match="channel"):
        MSam(TINY, {"a": 0})
    with pytest.raises(SpecError, match="channel"):
        MSam(TINY, {})
    with pytest.raises(SpecError, match="imagenet"):
        MSam(TINY, {"a": 1}, "imagenet")  # type: ignore[arg-type]
