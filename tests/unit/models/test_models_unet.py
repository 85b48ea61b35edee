"""The U-Net is the paper's, treats dates apart, and sees no farther than REACH."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seaice_ops.models.card import Architecture
from seaice_ops.models.families.build import build
from seaice_ops.models.families.unet import REACH, STRIDE, Dropout, unet

torch.set_num_threads(1)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_width_16_is_the_papers() -> None:
    module = unet(16, 1, 3)
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert parameters(module) == 7_775_347
    assert len(convolutions) == 28
    rates = [m.cut / 256 for m in module.modules() if isinstance(m, Dropout)]
    assert rates == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1], abs=0.002)


def test_the_family_grows_with_its_width() -> None:
    assert parameters(build(Architecture(width=8))) == pytest.approx(7_775_347 / 4, rel=0.01)


def apply(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    dates, valid = torch.zeros(x.shape[:2]), torch.ones(*x.shape[:2], *x.shape[3:], dtype=torch.bool)
    with torch.inference_mode():
        return module(x, dates, valid)


def test_dates_and_samples_are_answered_on_their_own() -> None:
    module, x = unet(2, 3, 3).eval(), torch.randn(2, 3, 3, 32, 64)
    together = apply(module, x)
    assert together.shape == (2, 3, 3, 32, 64)
    for sample in range(2):
        for date in range(3):
            alone = apply(module, x[sample : sample + 1, date : date + 1])
            torch.testing.assert_close(alone[0, 0], together[sample, date], atol=1e-5, rtol=1e-5)


def test_an_output_sees_exactly_within_reach() -> None:
    """By intervals: which input columns can an output column depend on, whatever the weights?"""
    farthest = 0
    for column in range(10 * STRIDE, 11 * STRIDE):
        low, high = column, column
        for _ in range(5):  # up from the last level: two 3x3 convolutions, then the pixel above the pair
            low, high = (low - 2) // 2, (high + 2) // 2
        low, high = low - 2, high + 2
        for _ in range(5):
            low, high = 2 * low - 2, 2 * high + 1 + 2
        farthest = max(farthest, column - low, high - column)
    assert farthest <= REACH < farthest + STRIDE and REACH % STRIDE == 0


def test_what_is_beyond_reach_changes_nothing() -> None:
    torch.manual_seed(0)
    module, x = unet(2, 3, 3).eval(), torch.randn(1, 1, 3, 32, 512)
    other = x.clone()
    other[..., 256 + REACH :] = 9.0
    torch.testing.assert_close(apply(module, x)[..., :257], apply(module, other)[..., :257], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(apply(module, x)[..., 470:], apply(module, other)[..., 470:])


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_dropout(order: torch.memory_format) -> None:
    drop, x = Dropout(0.3), torch.ones(4, 8, 33, 31).contiguous(memory_format=order)
    torch.manual_seed(1)
    first = drop(x)
    assert (first == 0).float().mean() == pytest.approx(drop.cut / 256, abs=0.01)
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert first.stride() == x.stride()
    assert (first == 0).float().mean(dim=(0, 2, 3)).std() < 0.02  # no band is favoured
    torch.manual_seed(1)
    assert torch.equal(drop(x), first)
    assert not torch.equal(drop(x), first)
    assert drop.eval()(x) is x
