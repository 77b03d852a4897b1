"""Seeds random generators for a count, restores them afterwards, and notes if random numbers decide what runs.

The same code then gives the same count in every process. Random numbers matter only if the pass reads their values;
such a pass is counted again with other seeds.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy.random
import torch

from analyzer.counting.dispatch.patched_functions import Replacement, Replacements
from analyzer.models.failing_forward_errors import error_summary
from analyzer.records.note import Note
from analyzer.records.rows import SUMMED_KEYS, Count

NUMBERS = "random numbers"
TITLES = {"macs": "MACs", "flops": "FLOPs", "params": "parameters"}
# A layer dropped with a probability of 0.5 is the same under 4 seeds with a chance of 1/16, under 12 of 1/4096.
FEW_SEEDS, MANY_SEEDS = range(1, 5), range(1, 13)
MANY_ROWS = 1000  # Larger models are counted with few seeds, because each count takes time.


class Randomness:
    """The seed of one pass, and what the pass drew: `drew` from Python or NumPy, `drew_tensors` from torch.

    Random numbers of Python and NumPy may always be read, those of torch only if an operator reads a value. `read`
    names what the pass drew, also other values that differ between processes such as "the clock". `environment` has the
    names of the environment variables that the model's code read, `arrays` the NumPy arrays that the model holds.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.thread = threading.get_ident()
        self.drew = self.drew_tensors = False
        self.read: set[str] = set()
        self.environment: set[str] = set()
        self.arrays: list[Any] = []

    def draw(self, what: str) -> None:
        """The pass read a value that may differ in the next pass."""
        self.drew = True
        self.read.add(what)


@contextmanager
def seeded(randomness: Randomness | None = None, held: Iterable[Any] = ()) -> Iterator[None]:
    """Seeds the generators of torch, Python and NumPy and restores them, and generators that a model holds.

    Those are the model's, so that they keep their state under the first seed. CUDA's generators are seeded if they are
    in use, since a query initializes CUDA.
    """
    randomness = randomness or Randomness()
    seed = randomness.seed
    cuda = list(torch.cuda.default_generators) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    generators = [torch.default_generator, *cuda]
    python, own = random.getstate(), [(generator, _state(generator)) for generator in held]
    legacy = numpy.random.get_state()
    tensors = [generator.get_state() for generator in generators]
    default_rng = numpy.random.default_rng

    def seeded_generator(given: Any = None) -> Any:
        if given is None:
            randomness.draw(NUMBERS)
        return default_rng(seed if given is None else given)

    _draws.add(randomness)
    random.seed(seed)
    numpy.random.seed(seed)
    numpy.random.default_rng = seeded_generator  # type: ignore[assignment]
    for generator in generators:
        generator.manual_seed(seed)
    if seed:
        for generator, _ in own:
            _seed(generator, seed)
    before = [generator.get_state() for generator in generators]
    started = [(generator, _comparable(_state(generator))) for generator, _ in own]
    try:
        yield
    finally:
        _draws.remove(randomness)
        after = [generator.get_state() for generator in generators]
        randomness.drew_tensors |= not all(map(torch.equal, before, after))
        # If nothing was drawn, the next number is the first number of the seed.
        first, first_of_numpy = _first_numbers(seed)
        if (
            random.random() != first
            or numpy.random.random() != first_of_numpy
            or any(_comparable(_state(generator)) != state for generator, state in started)
        ):
            randomness.draw(NUMBERS)
        random.setstate(python)
        numpy.random.set_state(legacy)
        numpy.random.default_rng = default_rng
        for generator, state in zip(generators, tensors, strict=True):
            generator.set_state(state)
        for generator, state in own:
            _restore(generator, state)


def _drawing(draw: Any) -> Any:
    """Notes a draw from a generator that is not torch's, Python's or NumPy's own, such as `random.Random()`."""

    def noted(*args: Any) -> Any:
        for randomness in _draws.active:
            if randomness.thread == threading.get_ident():
                randomness.draw(NUMBERS)
        return draw(*args)

    return noted


def _new_seed(seed: Any) -> Any:
    """`torch.seed()` takes a seed from the system: here one that differs by pass."""

    def seeded_by_pass() -> int:
        mine = [randomness for randomness in _draws.active if randomness.thread == threading.get_ident()]
        if not mine:
            return int(seed())
        mine[-1].draw(NUMBERS)
        torch.manual_seed(mine[-1].seed)
        return int(mine[-1].seed)

    return seeded_by_pass


class _AnyGenerator(type(torch._C.Generator)):  # type: ignore[misc]
    """So that generators made before the pass are instances of the class that replaces `torch.Generator`."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, torch._C.Generator)


@cache
def _seeding(generator: Any) -> Any:
    """`torch.Generator` whose `seed()` is like `torch.seed()`."""

    class Generator(generator, metaclass=_AnyGenerator):  # type: ignore[misc]
        def seed(self) -> int:
            mine = [randomness for randomness in _draws.active if randomness.thread == threading.get_ident()]
            if not mine:
                return int(super().seed())
            mine[-1].draw(NUMBERS)
            self.manual_seed(mine[-1].seed)
            return int(mine[-1].seed)

    return Generator


def _all_draws() -> Iterator[Replacement]:
    yield torch, "seed", _new_seed
    yield torch.random, "seed", _new_seed
    yield torch, "Generator", _seeding
    for owner in (torch, torch.random):
        yield owner, "initial_seed", _drawing
    for name in ("random", "getrandbits"):
        yield random.Random, name, _drawing
    # Of `random.SystemRandom`, `secrets`, `uuid` and the seeds that NumPy takes from the system.
    yield os, "urandom", _drawing
    yield random, "_urandom", _drawing


_draws = Replacements(_all_draws)


def is_generator(value: Any) -> bool:
    """Whether the value is a generator of Python, NumPy or torch with a state."""
    if isinstance(value, random.Random):
        return not isinstance(value, random.SystemRandom)
    return isinstance(value, torch.Generator | numpy.random.Generator | numpy.random.RandomState)


def _state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    return generator.get_state() if isinstance(generator, torch.Generator) else _bits(generator).state


def _bits(generator: Any) -> Any:
    """NumPy's bit generator, which has the state."""
    return getattr(generator, "bit_generator", None) or generator._bit_generator


def _comparable(state: Any) -> Any:
    """The value with lists in place of arrays and tensors."""
    if isinstance(state, dict):
        return {name: _comparable(value) for name, value in state.items()}
    return state.tolist() if hasattr(state, "tolist") else state


@cache
def _first_numbers(seed: int) -> tuple[float, float]:
    """The first number of a seed from Python and from NumPy."""
    return random.Random(seed).random(), numpy.random.RandomState(seed).random()


def _seed(generator: Any, seed: int) -> None:
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    elif hasattr(generator, "bit_generator"):
        _bits(generator).state = type(_bits(generator))(seed).state
    else:
        generator.seed(seed)


def _restore(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, torch.Generator):
        generator.set_state(state)
    else:
        _bits(generator).state = state


def random_notes(count: Count, read: Iterable[str], recount: Callable[[Randomness], Count]) -> tuple[Note, ...]:
    """A note with both figures if the pass counts differently under another seed.

    `read` names the values that the pass read; without any they are random numbers.
    """
    names = " and ".join(sorted(read)) or NUMBERS
    start = f"{names} {'decide' if names.endswith('s') or len(set(read)) > 1 else 'decides'} what runs"
    other_modules = False
    for seed in FEW_SEEDS if len(count.rows) > MANY_ROWS else MANY_SEEDS:
        try:
            other = recount(Randomness(seed))
        except Exception as error:
            return (Note(f"{start}: with another seed it raised {error_summary(error)}", strict=True),)
        for key in ("macs", *SUMMED_KEYS):
            first, second = getattr(count.totals, key), getattr(other.totals, key)
            if first != second:
                figure = TITLES.get(key, key.replace("_", " "))
                return (Note(f"{start}: {first:,} {figure} with one seed, {second:,} with another", strict=True),)
        other_modules |= _rows(count) != _rows(other)
    return (Note(f"{start}: other seeds run other modules, with the same totals"),) if other_modules else ()


def _rows(count: Count) -> list[tuple[str, str, int]]:
    return [(row.path, row.op, row.macs) for row in count.rows]
