"""Decoders from transformers, untrained: GPT-2 small and Llama 3 8B as published, or a fraction of them.

Layers, heads and vocabulary shrink alike by `scale`, while the width of a head stays. There is no
dropout; each takes tokens `[batch, tokens]` and returns an object that holds `logits`.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

_TRAINED: dict[str, Any] = {"use_cache": False, "bos_token_id": None, "eos_token_id": None}
"""Instead of generating text: no cache, and no token of a meaning, which a small vocabulary would lack."""

DecoderConfig = GPT2Config | LlamaConfig


def gpt2_config(scale: float = 1.0) -> GPT2Config:
    """124 M parameters (Radford et al., 2019): learned positions, LayerNorm, tied embedding."""
    heads = _part(12, scale)
    return GPT2Config(
        vocab_size=_part(50257, scale, at_least=256),
        n_layer=_part(12, scale),
        n_head=heads,
        n_embd=64 * heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **_TRAINED,
    )


def llama_config(scale: float = 1.0) -> LlamaConfig:
    """8.0 B parameters (arXiv:2407.21783, table 3): rotary positions, RMSNorm, SwiGLU, grouped queries."""
    kv_heads = _part(8, scale)
    width = 4 * kv_heads * 128
    return LlamaConfig(
        vocab_size=_part(128256, scale, at_least=256),
        num_hidden_layers=_part(32, scale),
        num_attention_heads=4 * kv_heads,
        num_key_value_heads=kv_heads,
        hidden_size=width,
        intermediate_size=7 * width // 2,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        **_TRAINED,
    )


def decoder_config(name: str, scale: float = 1.0) -> DecoderConfig:
    """Of "gpt2" or "llama"."""
    return gpt2_config(scale) if name == "gpt2" else llama_config(scale)


def build_decoder(config: DecoderConfig) -> nn.Module:
    """The model, on the default device: a large one takes minutes on the host, and nothing on meta."""
    return GPT2LMHeadModel(config) if isinstance(config, GPT2Config) else LlamaForCausalLM(config)


def next_token_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    """Cross entropy, 0-dim, of every token but the first of `[batch, tokens]`, by those before it."""
    logits = model(tokens[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def _part(n: int, scale: float, at_least: int = 1) -> int:
    return max(at_least, round(n * scale))
