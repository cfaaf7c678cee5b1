"""Decoders of transformers: the published sizes, fractions of them, and that they are causal."""

from __future__ import annotations

import pytest
import torch

transformers = pytest.importorskip("transformers")

from gradprof.workloads.decoders import build_decoder, decoder_config, next_token_loss  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

PUBLISHED = {"gpt2": 124_439_808, "llama": 8_030_261_248}


@pytest.mark.parametrize("name", PUBLISHED)
def test_they_have_the_published_size(name: str) -> None:
    with torch.device("meta"):
        model = build_decoder(decoder_config(name))
    assert sum(param.numel() for param in model.parameters()) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_fraction_keeps_what_makes_the_architecture(name: str) -> None:
    whole = decoder_config(name)
    for scale in (1 / 2, 1 / 4, 1 / 16, 1e-9):
        small = decoder_config(name, scale)
        for ratio in (width_of_a_head, queries_of_a_key, hidden_of_a_width):
            assert ratio(small) == ratio(whole), ratio.__name__
        assert 1 <= small.num_hidden_layers <= max(1, round(whole.num_hidden_layers * scale))
        assert 256 <= small.vocab_size <= max(256, round(whole.vocab_size * scale))


def width_of_a_head(config: transformers.PretrainedConfig) -> float:
    return config.hidden_size / config.num_attention_heads


def queries_of_a_key(config: transformers.PretrainedConfig) -> float:
    return config.num_attention_heads / getattr(config, "num_key_value_heads", config.num_attention_heads)


def hidden_of_a_width(config: transformers.PretrainedConfig) -> float:
    return getattr(config, "intermediate_size", 4 * config.hidden_size) / config.hidden_size


@pytest.mark.parametrize("name", PUBLISHED)
def test_they_learn_from_what_comes_before_alone(name: str) -> None:
    torch.manual_seed(0)
    config = decoder_config(name, 1 / 64)
    model = build_decoder(config)
    tokens = torch.randint(config.vocab_size, (2, 10))
    changed = tokens.clone()
    changed[:, 6] = (changed[:, 6] + 1) % config.vocab_size
    before, after = model(tokens).logits, model(changed).logits
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-5)
    assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_batch_is_learned_by_heart(name: str) -> None:
    torch.manual_seed(0)
    config = decoder_config(name, 1 / 64)
    model = build_decoder(config)
    tokens = torch.randint(config.vocab_size, (2, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = next_token_loss(model, tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(torch.log(torch.tensor(config.vocab_size)).item(), rel=0.1)
    assert losses[-1] < 0.25 * losses[0]
