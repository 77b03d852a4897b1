"""The numbers of a causal language model that its costs follow from."""

from __future__ import annotations

from analyzer.core.frozen import Frozen


class Latent(Frozen):
    """Multi-head latent attention: the cache has `rank` + `rotated` numbers per token, not keys and values per head.

    Queries come from `query_rank` numbers, or from the hidden state if it is 0. The key of a head has `unrotated`
    numbers from the latent and `rotated` ones with its position, its value `value` numbers.
    """

    query_rank: int
    rank: int
    unrotated: int
    rotated: int
    value: int

    @property
    def pair_width(self) -> int:
        """The multiply-adds of a query with a key, and of the score with the value, per head."""
        return self.unrotated + self.rotated + self.value


class Architecture(Frozen):
    """From the configuration and the parameters; 0 for what the model does not have.

    `head_size` is the width of a head, `feed_forward` that of the hidden layer of a block, `expert_feed_forward` of one
    expert. `gated`: the feed-forward layer multiplies two projections (SwiGLU). `window` is the number of tokens that
    `windowed_layers` attend to. `expert_layers` have experts. `scan`: some layers are state spaces or linear attention.
    `shared_feed_forward` is the width of the experts that every token passes, together.
    """

    class_name: str
    dtype: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    expert_feed_forward: int
    vocabulary: int
    positions: int
    experts: int
    experts_per_token: int
    shared_feed_forward: int
    gated: bool
    window: int
    windowed_layers: tuple[int, ...]
    parameters: int
    parameter_bytes: int
    embedding_parameters: int
    position_parameters: int
    tied: bool
    expert_parameters: int
    expert_layers: int = 0
    scan: bool = False
    latent: Latent | None = None

    @property
    def cache_heads(self) -> int:
        """Over how many devices the cache can be divided; with more, parts of it are copied."""
        return 1 if self.latent else max(self.kv_heads, 1)

    @property
    def pair_width(self) -> int:
        """The multiply-adds of a query with a key, and of the score with the value, per head."""
        return self.latent.pair_width if self.latent else 2 * self.head_size

    @property
    def active_parameters(self) -> int:
        """The parameters that one token uses: all, without the experts that it does not choose."""
        if not self.experts:
            return self.parameters
        unused = self.expert_parameters * (self.experts - self.experts_per_token)
        return self.parameters - unused // self.experts

    def read_parameters(self, tokens: int) -> int:
        """The parameters that a step over a batch of tokens reads. The tokens choose min(tokens · k, experts) experts.

        The few rows of an embedding that is no output layer are left out.
        """
        read = self.parameters if self.tied else self.parameters - self.embedding_parameters
        if not self.experts:
            return read
        chosen = min(tokens * self.experts_per_token, self.experts)
        return read - self.expert_parameters * (self.experts - chosen) // self.experts
