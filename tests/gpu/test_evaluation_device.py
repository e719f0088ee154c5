import pytest
import torch

from tabench.catalog import TASKS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def case_of(name):
    generator = torch.Generator().manual_seed(0)
    channels = {"segmentation": 13, "depth": 1, "normals": 3}[name]
    raw = torch.randn(4, channels, 32, 48, generator=generator)
    if name == "segmentation":
        target = torch.randint(-1, 13, (4, 32, 48), generator=generator)
    else:
        target = torch.rand(4, channels, 32, 48, generator=generator) + 0.1
        target[:, :, :4] = 0
    return TASKS.get(name)(channels), raw, target


@pytest.mark.parametrize("name", ["segmentation", "depth", "normals"])
@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_where_a_prediction_lies_does_not_change_its_metrics(name, protocol):
    task, raw, target = case_of(name)
    prediction = task.activate(raw)
    here, there = task.evaluation(protocol), task.evaluation(protocol)
    here.update(prediction, target, list("abcd"))
    there.update(prediction.cuda(), target.cuda(), list("abcd"))
    assert here.compute() == there.compute()
    assert here.per_image() == there.per_image()


@pytest.mark.parametrize("name", ["segmentation", "depth", "normals"])
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
