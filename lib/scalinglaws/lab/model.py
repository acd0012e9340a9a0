"""The transformer and the LSTM, as functions of one flat vector of weights.

All weights of a model lie in one vector theta, cut into named matrices by `weights`. So the optimizer acts on one
array, a checkpoint is three, and with a leading axis theta holds many models: the products below broadcast over it.

Shapes: K... models (an optional leading axis), B sequences, T tokens each, d = d_model, H heads of size h, V symbols.
Activations keep B and T flattened, so that each product is one matrix product per model.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from scalinglaws.config import ModelConfig
from scalinglaws.lab.mup import attention_scale, branch_scale, output_scale, rules

ROPE_BASE = 10_000  # Su et al. 2021, section 3.3


def weights(theta: Tensor, model: ModelConfig) -> dict[str, Tensor]:
    """Views of the named weights in theta (K..., P): each (K..., inputs, outputs)."""
    shapes = {name: rule.shape for name, rule in rules(model).items()}
    parts = zip(shapes.items(), theta.split([math.prod(shape) for shape in shapes.values()], dim=-1), strict=True)
    return {name: part.view(*theta.shape[:-1], *shape) for (name, shape), part in parts}


def init(model: ModelConfig, seed: int) -> Tensor:
    """Initial theta (P,), float32 on the CPU: normal, with the standard deviations of `mup.rules`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(math.prod(r.shape), generator=generator) * r.init_std for r in rules(model).values()])


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What a model needs besides weights; made once, because making it in every step takes a tenth of the time."""

    attention_scale: float | Tensor  # a number, or float32 (K, 1, 1, 1, 1) for models under several width rules
    output_scale: float | Tensor  # a number, or float32 (K, 1, 1)
    branch_scale: float | Tensor  # the same, of the depth rules
    cos: Tensor  # (T, h/2): rotary angles, Su et al. 2021, section 3.4.2
    sin: Tensor  # (T, h/2)
    mask: Tensor | None  # (T, T): -inf where a position would see the future; None: torch's fused attention masks


def tables(model: ModelConfig, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tables:
    """The tables of a model, in the precision and on the device of its weights."""
    half, seq_len = model.d_head // 2, model.seq_len
    turns = ROPE_BASE ** (-torch.arange(half, device=device) / half)
    angle = torch.arange(seq_len, device=device)[:, None] * turns  # T h/2
    # Short sequences on a CPU: fused attention is slower than its parts (measured; see LOG.md).
    fused = torch.device(device).type == "cuda" or seq_len > 256
    mask = None if fused else torch.full((seq_len, seq_len), -torch.inf, device=device, dtype=dtype).triu(1)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    scales = {"attention_scale": attention_scale(model), "output_scale": output_scale(model)}
    return Tables(**scales, branch_scale=branch_scale(model), cos=cos, sin=sin, mask=mask)


def forward(theta: Tensor, tokens: Tensor, model: ModelConfig, at: Tables, *, train: bool = False) -> Tensor:
    """Logits (K..., B T, V) for tokens (K..., B, T), in theta's precision; dropout acts only when ``train``."""
    w = weights(theta, model)
    p = model.dropout if train else 0.0
    x = F.dropout(_embed(tokens, w, model), p, train)
    for i in range(model.n_layer):
        x = _layer(x, i, w, model, at, p, train)
    head = w["embedding"].transpose(-1, -2) if model.tied else w["head"]
    return (at.output_scale * _norm(x)).to(x.dtype) @ head  # K... (B T) V


def loss(
    theta: Tensor, tokens: Tensor, targets: Tensor, model: ModelConfig, at: Tables, *, train: bool = False
) -> Tensor:
    """Cross-entropy (K..., B T) of each next token, in nats, computed in float32."""
    logits = forward(theta, tokens, model, at, train=train).float()
    targets = targets.flatten(-2)  # K... (B T)
    if torch.compiler.is_compiling():
        return _written_out_cross_entropy(logits, targets)
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)


def _written_out_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The same in operations that compile to vector code, backward too: saves a third of a small model's step."""
    top = logits.detach().amax(-1, keepdim=True)
    log_sum = (logits - top).exp().sum(-1).log() + top.squeeze(-1)
    is_target = torch.arange(logits.shape[-1], device=logits.device) == targets.unsqueeze(-1)
    return log_sum - torch.where(is_target, logits, 0.0).sum(-1)


def attention(theta: Tensor, tokens: Tensor, model: ModelConfig) -> Tensor:
    """Where each head of a transformer looks: (n_layer, K..., B, H, T, T), rows sum to 1.

    Entry t, s of a layer and head is the weight that position t gives to what stands at position s, which is zero for
    s > t.

    Parameters
    ----------
    theta : Tensor [K..., P]
        Weights of one model or of K.
    tokens : Tensor [K..., B, T]
        Sequences of ``model.seq_len`` tokens.
    model : ModelConfig

    Raises
    ------
    ValueError
        If the model is an LSTM, which has no attention.
    """
    if model.family == "lstm":
        raise ValueError("family='lstm' has no attention: give a transformer")
    w, at = weights(theta, model), tables(model, device=theta.device, dtype=theta.dtype)
    future = torch.full((model.seq_len, model.seq_len), -torch.inf, device=theta.device, dtype=theta.dtype).triu(1)
    x, seen = _embed(tokens, w, model), []
    for i in range(model.n_layer):
        q, k, _ = _heads(_norm(x) @ w[f"{i}.qkv"], model, at)
        seen.append((q @ k.transpose(-1, -2) + future).softmax(-1))  # K... B H T T
        x = _layer(x, i, w, model, at)
    return torch.stack(seen)


def _embed(tokens: Tensor, w: dict[str, Tensor], model: ModelConfig) -> Tensor:
    """What enters the first layer, (K..., B T, d)."""
    x = _lookup(w["embedding"], tokens.flatten(-2))  # K... (B T) d
    if model.position == "learned":
        x = x + w["position"].repeat(*[1] * (w["position"].ndim - 2), tokens.shape[-2], 1)
    return x


def _layer(
    x: Tensor, i: int, w: dict[str, Tensor], model: ModelConfig, at: Tables, p: float = 0.0, train: bool = False
) -> Tensor:
    """The stream (K..., B T, d) after layer i; dropout of probability p acts only when ``train``."""
    if model.family == "lstm":
        return F.dropout(_lstm(x, w[f"{i}.input"], w[f"{i}.recurrent"], model.seq_len), p, train)
    a = _attention(_norm(x) @ w[f"{i}.qkv"], model, at) @ w[f"{i}.out"]
    x = x + F.dropout(_of_branch(a, at), p, train)
    u = F.relu(_norm(x) @ w[f"{i}.up"]).square()  # K... (B T) d_ff; squared ReLU: So et al. 2021
    return x + F.dropout(_of_branch(u @ w[f"{i}.down"], at), p, train)


def _heads(qkv: Tensor, model: ModelConfig, at: Tables) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, scaled, keys and values of each head, (K..., B, H, T, h), from qkv (K..., B T, 3 d)."""
    qkv = rearrange(qkv, "... (b t) (three n h) -> three ... b n t h", t=model.seq_len, three=3, n=model.n_head)
    q, k, v = qkv.unbind(0)  # K... B n T h
    if model.position == "rope":
        q, k = _rotate(q, at), _rotate(k, at)
    return (q * at.attention_scale).to(v.dtype), k, v


def _attention(qkv: Tensor, model: ModelConfig, at: Tables) -> Tensor:
    """Causal self-attention over qkv (K..., B T, 3 d): (K..., B T, d)."""
    q, k, v = _heads(qkv, model, at)
    if at.mask is None:
        flat_q, flat_k, flat_v = (z.flatten(0, -4) for z in (q, k, v))  # a further axis would be torch's slow path
        out = F.scaled_dot_product_attention(flat_q, flat_k, flat_v, is_causal=True, scale=1.0).view(q.shape)
    else:
        out = (q @ k.transpose(-1, -2) + at.mask).softmax(-1) @ v
    return rearrange(out, "... b n t h -> ... (b t) (n h)")


def _rotate(x: Tensor, at: Tables) -> Tensor:
    """Turn pair j of a head at position t by the angle t ROPE_BASE^(-2j/h)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * at.cos - b * at.sin, a * at.sin + b * at.cos), dim=-1)


def _lstm(x: Tensor, to_gates: Tensor, back: Tensor, seq_len: int) -> Tensor:
    """A long short-term memory over x (K..., B T, d), from a state of zeros: Hochreiter and Schmidhuber 1997."""
    # No biases but a constant 1 on the forget gate (Jozefowicz et al. 2015). One model takes torch's fused layer.
    d = x.shape[-1]
    if x.ndim == 2:
        zeros, forget = x.new_zeros(1, len(x) // seq_len, d), x.new_zeros(4, d)
        forget[1] = 1.0
        cells = (to_gates.T.contiguous(), back.T.contiguous(), forget.flatten(), x.new_zeros(4 * d))
        has_biases, n_layers, dropout, bidirectional, batch_first = True, 1, 0.0, False, True
        train = True  # cuDNN has no gradient without it; on a CPU it acts on dropout alone
        how = (has_biases, n_layers, dropout, train, bidirectional, batch_first)
        out, _, _ = torch.lstm(x.view(-1, seq_len, d), (zeros, zeros), cells, *how)
        return out.reshape(-1, d)
    gates = (x @ to_gates).unflatten(-2, (-1, seq_len))  # K... B T 4d
    h = c = gates.new_zeros(*gates.shape[:-2], d)  # K... B d
    out = []
    for t in range(seq_len):
        i, f, g, o = (gates[..., t, :] + h @ back).chunk(4, dim=-1)
        c = (f + 1).sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append(h)
    return torch.stack(out, dim=-2).flatten(-3, -2)  # K... (B T) d


def _of_branch(x: Tensor, at: Tables) -> Tensor:
    """What a branch adds to the stream."""
    return x if isinstance(at.branch_scale, float) and at.branch_scale == 1 else (at.branch_scale * x).to(x.dtype)


def _norm(x: Tensor) -> Tensor:
    """Root-mean-square normalization without gain: Zhang and Sennrich 2019."""
    full = x.float()
    return (full * torch.rsqrt(full.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def _lookup(table: Tensor, index: Tensor) -> Tensor:
    """Rows of table (K..., V, d) at index (K..., n): (K..., n, d)."""
    if table.ndim > 2:  # many models: number the rows through
        index = index + table.shape[-2] * torch.arange(table.shape[0], device=index.device)[:, None]
        return F.embedding(index.expand(table.shape[0], -1), table.flatten(0, 1))
    return F.embedding(index, table)
