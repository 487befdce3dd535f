"""PFN, P-CNN and an MLP as their published networks run: every jet padded, every slot computed.

weaver-core ships Particle Transformers and ParticleNet alone; PFN and P-CNN run under it as network files of their
own. These are written after the same papers and take our weights by name, as the peers that ours are timed beside.
"""

import torch
from torch import nn


class PaddedFlow(nn.Module):
    """A Particle Flow Network whose layers see every slot; what stands in empty ones is set to zero before the sum."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, features, p4, mask):  # noqa: ARG002
        x = self.module.input_bn(features)
        for conv, norm in self.module.phi:
            x = torch.relu(norm(conv(x)))
        return self.module.fc((x * mask).sum(dim=-1))


class PaddedConvolutions(nn.Module):
    """P-CNN on all of its 128 slots, with each normalisation as a step of its own."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, features, p4, mask):  # noqa: ARG002
        x = self.module.fts_conv(features * mask)
        for stage in self.module.resnet_units.values():
            x = stage(x)
        return self.module.fc(x.mean(dim=-1))


class PaddedLeading(nn.Module):
    """The leading constituents of padded jets side by side, through dense layers."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, features, p4, mask):  # noqa: ARG002
        leading = (features * mask)[..., : self.module.constituents].transpose(1, 2)
        wider = self.module.constituents - leading.shape[1]
        return self.module.fc(self.module.hidden(nn.functional.pad(leading, (0, 0, 0, wider)).flatten(1)))


class WeaverParticleNet(nn.Module):
    """weaver-core's own module with weights of ours."""

    def __init__(self, card, state):
        from weaver.nn.model.ParticleNet import ParticleNet

        super().__init__()
        given = dict(card.parameters)
        self.points = list(given.pop("points"))
        inputs = given.pop("input_dim")
        self.net = ParticleNet(
            input_dims=inputs, conv_params=[(16, (64,) * 3), (16, (128,) * 3), (16, (256,) * 3)],
            fc_params=[(256, 0.1)], use_fusion=False, **given,
        ).eval()  # fmt: skip
        self.net.load_state_dict(state, strict=True)
        self.net.trimmer._counter.fill_(self.net.trimmer.warmup_steps)  # noqa: SLF001 - it trims after some calls

    def forward(self, features, p4, mask):  # noqa: ARG002
        return self.net(features[:, self.points], features, mask)
