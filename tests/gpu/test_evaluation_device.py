import pytest
import torch

from tabench.catalog import TASKS

CHANNELS = {"segmentation": 13, "depth": 1, "normals": 3, "saliency": 1}


def case_of(name):
    generator = torch.Generator().manual_seed(0)
    channels = CHANNELS[name]
    raw = torch.randn(4, channels, 32, 48, generator=generator)
    if name in ("segmentation", "saliency"):
        target = torch.randint(-1, max(channels, 2), (4, 32, 48), generator=generator)
    else:
        target = torch.rand(4, channels, 32, 48, generator=generator) + 0.1
        target[:, :, :4] = 0
    return TASKS.get(name)(channels), raw, target


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_where_a_prediction_lies_does_not_change_its_metrics(name, protocol):
    task, raw, target = case_of(name)
    prediction = task.activate(raw)
    here, there = task.evaluation(protocol), task.evaluation(protocol)
    here.update(prediction, target, list("abcd"))
    there.update(prediction.cuda(), target.cuda(), list("abcd"))
    assert there.compute() == pytest.approx(here.compute(), rel=1e-12, nan_ok=True)
    for key, values in here.per_image().items():
        assert there.per_image()[key] == pytest.approx(values, rel=1e-12)
    assert there.notes() == here.notes()


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_no_image_is_waited_for(name, protocol):
    task, raw, target = case_of(name)
    prediction, target = task.activate(raw).cuda(), target.cuda()
    meter = task.evaluation(protocol)
    meter.update(prediction, target, list("abcd"))  # constants are sent with the first batch
    torch.cuda.set_sync_debug_mode("error")
    try:
        meter.update(prediction, target, list("efgh"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(next(iter(meter.per_image().values()))) == 8


@pytest.mark.parametrize("name", CHANNELS)
def test_losses_have_a_deterministic_backward(name):
    task, raw, target = case_of(name)
    reference = raw.clone().requires_grad_()
    task.loss(reference, target).backward()
    torch.use_deterministic_algorithms(True)
    try:
        leaf = raw.cuda().requires_grad_()
        task.loss(leaf, target.cuda()).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(leaf.grad.cpu(), reference.grad, rtol=1e-4, atol=1e-7)
