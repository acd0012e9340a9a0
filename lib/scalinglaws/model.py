"""The transformer, as functions of one flat vector of weights.

All weights of a model lie in one vector theta, cut into named matrices by `weights`. So the optimizer of
`train.py` is five lines, a checkpoint is three arrays, and a leading axis on theta is many models at once: the
products below broadcast over it unchanged.

Shapes: K... models (an optional leading axis), B sequences, T tokens each, d = d_model, H heads of size h, V symbols.
Activations keep B and T flattened, so that each product is one matrix product per model.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from scalinglaws.config import ModelConfig
from scalinglaws.mup import attention_scale, output_scale, rules

ROPE_BASE = 10_000  # Su et al. 2021, section 3.2.2


def weights(theta: Tensor, model: ModelConfig) -> dict[str, Tensor]:
    """Views of the named weights in theta (K..., P): each (K..., inputs, outputs)."""
    shapes = {name: rule.shape for name, rule in rules(model).items()}
    parts = theta.split([math.prod(shape) for shape in shapes.values()], dim=-1)
    return {
        name: part.view(*theta.shape[:-1], *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def init(model: ModelConfig, seed: int) -> Tensor:
    """Initial theta (P,), float32 on the CPU: normal, with the standard deviations of `mup.rules`."""
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(math.prod(r.shape), generator=generator) * r.init_std for r in rules(model).values()]
    return torch.cat(parts)


def forward(theta: Tensor, tokens: Tensor, model: ModelConfig, *, train: bool = False) -> Tensor:
    """Logits (K..., B T, V) for tokens (K..., B, T), in theta's precision; dropout acts only when ``train``."""
    w = weights(theta, model)
    seq_len = tokens.shape[-1]
    p = model.dropout if train else 0.0
    mix = _Attention(model, seq_len, theta)

    x = _lookup(w["embedding"], tokens.flatten(-2))  # K... (B T) d
    if model.position == "learned":
        x = x + _lookup(w["position"], torch.arange(seq_len, device=theta.device).repeat(tokens.shape[-2]))
    x = F.dropout(x, p, train)
    for i in range(model.n_layer):
        a = mix(_norm(x) @ w[f"{i}.qkv"]) @ w[f"{i}.out"]
        x = x + F.dropout(a, p, train)
        u = F.relu(_norm(x) @ w[f"{i}.up"]).square()  # K... (B T) d_ff; squared ReLU: So et al. 2021
        x = x + F.dropout(u @ w[f"{i}.down"], p, train)
    head = w["embedding"].transpose(-1, -2) if model.tied else w["head"]
    return output_scale(model) * (_norm(x) @ head)  # K... (B T) V


def loss(theta: Tensor, tokens: Tensor, targets: Tensor, model: ModelConfig, *, train: bool = False) -> Tensor:
    """Cross-entropy (K..., B T) of each next token, in nats, computed in float32."""
    logits = forward(theta, tokens, model, train=train).float()
    flat = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    return flat.view(logits.shape[:-1])


class _Attention:
    """Causal self-attention over qkv (K..., B T, 3 d); holds the tables that every layer shares."""

    def __init__(self, model: ModelConfig, seq_len: int, like: Tensor):
        self.scale, self.n_head, self.seq_len = attention_scale(model), model.n_head, seq_len
        half = model.d_head // 2
        self.rotate = model.position == "rope"
        if self.rotate:
            turns = ROPE_BASE ** (-torch.arange(half, device=like.device) / half)
            angle = torch.arange(seq_len, device=like.device)[:, None] * turns  # T h/2
            self.cos, self.sin = angle.cos().to(like.dtype), angle.sin().to(like.dtype)
        # Short sequences on a CPU: torch's fused attention is slower than its parts (measured; see benchmarks/).
        self.fused = like.device.type == "cuda" or seq_len > 256
        if not self.fused:
            hidden = torch.full((seq_len, seq_len), -torch.inf, device=like.device, dtype=like.dtype)
            self.mask = hidden.triu(1)

    def __call__(self, qkv: Tensor) -> Tensor:
        qkv = rearrange(qkv, "... (b t) (three n h) -> three ... b n t h", t=self.seq_len, three=3, n=self.n_head)
        q, k, v = qkv.unbind(0)  # K... B n T h
        if self.rotate:
            q, k = self._rope(q), self._rope(k)
        if self.fused:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        else:
            scores = q @ k.transpose(-1, -2) * self.scale + self.mask  # K... B n T T
            out = scores.softmax(-1) @ v
        return rearrange(out, "... b n t h -> ... (b t) (n h)")

    def _rope(self, x: Tensor) -> Tensor:
        """Turn pair j of a head at position t by the angle t ROPE_BASE^(-2j/h)."""
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cos - b * self.sin, a * self.sin + b * self.cos), dim=-1)


def _norm(x: Tensor) -> Tensor:
    """Root-mean-square normalization without gain: Zhang and Sennrich 2019."""
    full = x.float()
    return (full * torch.rsqrt(full.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def _lookup(table: Tensor, index: Tensor) -> Tensor:
    """Rows of table (K..., V, d) at index (K..., n): (K..., n, d)."""
    if table.ndim > 2:  # many models: number the rows through
        entries = table.shape[-2]
        index = index + entries * torch.arange(table.shape[0], device=index.device)[:, None]
        return F.embedding(index.expand(table.shape[0], -1), table.flatten(0, 1))
    return F.embedding(index, table)
