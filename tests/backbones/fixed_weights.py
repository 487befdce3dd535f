"""Weights and one jet by formula, for outputs that were written down once."""

import torch

from jetassay.backbones.padding import PaddedJets


def with_fixed_weights(module: torch.nn.Module) -> torch.nn.Module:
    """In float64, for inference; which weight is which depends on the sorted names of layers."""
    state = module.state_dict()
    for place, (name, tensor) in enumerate(sorted(state.items())):
        if tensor.is_floating_point():
            wave = 0.3 * torch.cos(torch.arange(tensor.numel(), dtype=torch.float64) * 1.7 + place)
            state[name] = (wave.abs() + 0.5 if name.endswith("running_var") else wave).reshape(tensor.shape)
    module.double().load_state_dict(state, strict=True)
    return module.eval()


def fixed_jet() -> PaddedJets:
    """Twelve constituents with seven features each."""
    steps = torch.arange(12, dtype=torch.float64)
    features = torch.sin(steps[:, None] * torch.arange(1, 8, dtype=torch.float64))[None]
    return PaddedJets(features, torch.zeros(1, 12, 4), torch.ones(1, 12, dtype=torch.bool), torch.zeros(1, 0))
