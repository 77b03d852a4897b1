"""Peak memory equals what torch's profiler sees on real tensors; optimizer state equals torch.optim's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from analyzer.counting.api import count_module
from analyzer.counting.dispatch.memory_by_liveness import track_memory
from analyzer.counting.dispatch.tensors import output_tensors
from analyzer.models.spec_to_module import construct
from analyzer.networks import find
from analyzer.networks.walk import walk
from analyzer.records.training import TrainingSetup
from tests.counting.dispatch.profiled import Block, blocks, peak
from tests.counting.dispatch.training_models import MODELS, Forward, attention, attention_parts, sequence
from tests.torch_releases import needs_torch

FLOAT = 4
# Operators whose kernels allocate scratch space. Convolution: copies in oneDNN's layouts and unfolded windows, with
# which NIN's peak is 4,636,672 bytes (on a processor with AVX-512), where its tensors take 2,239,488. Batch norm: a
# scale and a shift per channel, and in the backward pass a buffer of the input's size.
WORKSPACE = (
    "aten::convolution",
    "aten::convolution_backward",
    "aten::native_batch_norm",
    "aten::native_batch_norm_backward",
)
# A number argument, such as mean's divisor, becomes a float64 tensor and then a float32 one.
NUMBER = 8
RANDOM_STATE = 5056  # Bytes of the state of torch's generator, which checkpoints keep.
LARGER = ("googlenet", "googlenet-torchvision", "alexnet", "vgg16")


def runs(name: str, size: int | None, *, train: bool):
    """A pass of a network of zeros on real tensors, and the tracked memory of the same pass on meta."""
    network = find(name)
    steps = walk(network, size and (3, size, size), mode="training" if train else "inference")
    model = construct(network, steps, train=train)._apply(lambda t: torch.zeros(t.shape, dtype=t.dtype))
    source = torch.zeros(steps[0].inputs[0])
    on_meta = construct(network, steps, train=train)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        with torch.set_grad_enabled(train):
            outputs = model(source)
        if train:
            tensors = [outputs] if isinstance(outputs, Tensor) else list(outputs)
            torch.autograd.backward(tensors, [torch.ones_like(tensor) for tensor in tensors])

    run()  # Libraries allocate permanent buffers in the first pass.
    return run, track_memory(on_meta, [source.to("meta")], train=train)


def is_workspace(block: Block) -> bool:
    return any(operator in block.path for operator in WORKSPACE)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize(
    "name",
    [
        "nin",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("googlenet", "googlenet-torchvision", "alexnet", "vgg16")),
    ],
)
def test_the_peak_equals_the_profilers(name, train):
    # Smaller than the default size where that takes seconds.
    size = {"vgg16": 64, "nin": None, "alexnet": None}.get(name, 96)
    if name == "googlenet" and not train:
        size = None
    run, memory = runs(name, size, train=train)
    allocations = blocks(run)
    assert peak([block for block in allocations if block.returned]) == memory.activations
    scratch = [block for block in allocations if not block.returned]
    assert [block for block in scratch if block.size > NUMBER and not is_workspace(block)] == []


def training_step(model: nn.Module, args: tuple[object, ...]) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad(set_to_none=True)
        tensors = [tensor for tensor in output_tensors(model(*args)) if tensor.requires_grad]
        torch.autograd.backward(tensors, [torch.ones_like(tensor) for tensor in tensors])

    run()
    return run


def returned_peak(run: Callable[[], object]) -> int:
    return peak([block for block in blocks(run) if block.returned])


@pytest.fixture(autouse=True)
def _no_fused_encoder_layers() -> Iterator[None]:
    """Fused, they hide their operators; counting switches them off too."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def assert_equal_peaks(model: nn.Module, args: tuple[object, ...], *, train: bool) -> None:
    memory = count_module(model, args, {}, train=train, memory=True).memory
    model.train(train)
    run = training_step(model, args) if train else torch.no_grad()(lambda: model(*args))
    assert memory.activations == returned_peak(run)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", MODELS)
def test_a_small_model(name, train):
    assert_equal_peaks(*MODELS[name](), train=train)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.LSTM, {"bidirectional": True, "num_layers": 2}),
        (nn.LSTM, {"num_layers": 2, "dropout": 0.2}),
        (nn.LSTM, {"bias": False}),
        (nn.LSTM, {"proj_size": 8}),
        (nn.GRU, {"batch_first": True}),
        (nn.RNN, {"bidirectional": True}),
        (nn.RNN, {"nonlinearity": "relu"}),
    ],
)
def test_recurrent_layers_as_a_cpu_runs_them(kind, options, train):
    layer = kind(32, 64, **options)
    assert_equal_peaks(Forward(lambda self, x: self.layer(x)[0], layer=layer), sequence(5), train=train)


@pytest.mark.parametrize(
    ("steps", "batch", "width", "hidden"),
    [(40, 8, 32, 64), (40, 8, 512, 64), (7, 5, 300, 100), (20, 4, 1024, 512), (9, 3, 33, 70)],
)
def test_the_workspace_of_an_lstm(steps, batch, width, hidden):
    """Rows of whole cache lines, longer ones where they are a multiple of 1 KiB: hidden sizes of 64, 256 and others."""
    assert_equal_peaks(nn.LSTM(width, hidden), (torch.zeros(steps, batch, width),), train=True)


def rows_of(tensor: Tensor, count: int = 8) -> Tensor:
    return torch.arange(count, device=tensor.device)


# Of a tensor of (16, 256): functions whose gradient torch adds or scatters in place, if no dispatch mode takes part.
IN_PLACE_GRADIENTS: dict[str, Callable[[Tensor], Any]] = {
    "sum of products": lambda a: a * 2 + a * 3 + a * 4 + a * 5,
    "several outputs": lambda a: [a * factor for factor in range(2, 7)],
    "reductions": lambda a: [(a * factor).sum() for factor in range(2, 5)],
    "expanded gradients": lambda a: (a.sum(0), a.sum(1), (a * 2).sum()),
    "shared gradients": lambda a: a + torch.relu(a),
    "square": lambda a: a * a,
    "both factors": lambda a: a @ a.t(),
    "concatenation": lambda a: torch.cat([a, a, a, a]),
    "rotation": lambda a: torch.cat([-a[:, 128:], a[:, :128]], 1) * 2 + a * 3,
    "transposed": lambda a: [a.sum(1), a.t() * 2, a.view(-1) * 3],
    "difference": lambda a: torch.nn.functional.pad(a.view(1, 16, 256), (1, 1), mode="circular"),
    "index": lambda a: a[rows_of(a)],
    "index of columns": lambda a: a[:, rows_of(a)],
    "index_select": lambda a: a.index_select(0, rows_of(a)),
    "gather": lambda a: a.gather(1, rows_of(a)[None].expand(16, 8)),
    "take": lambda a: a.take(rows_of(a)),
    "max": lambda a: a.max(1)[0],
    "max of stacked": lambda a: torch.stack([a, a * 2]).max(0)[0],
    "median": lambda a: a.median(1)[0],
    "topk": lambda a: a.topk(2)[0],
    "sort": lambda a: a.sort()[0],
    "cummax": lambda a: a.cummax(1)[0],
    "trace": lambda a: a[:, :16].trace(),
    "assigned slice": lambda a: torch.slice_scatter(a * 1, a[3:6], 0, 0, 3),
    "index_put": lambda a: (a * 1).index_put((rows_of(a),), a[:8]),
    "std": lambda a: a.std(1),
    "cdist": lambda a: torch.cdist(a, a * 2),
    "angle": lambda a: torch.atan2(a, a + 1),
    "smallest and largest of an axis": lambda a: torch.aminmax(a, dim=1),
    "larger of two": lambda a: torch.maximum(a, a.detach() - 1),
    "at most a tensor": lambda a: torch.clamp_max(a, a.detach() + 1),
    "between tensors": lambda a: torch.clamp(a, a.detach() - 1, a.detach() + 1),
    "reduced maximum": lambda a: (a * 1).scatter_reduce(0, rows_of(a)[:, None].expand(8, 256), a[:8], "amax"),
    "product": lambda a: (a + 1).prod(),
    "product of an axis": lambda a: (a + 1).prod(1),
    "cumulative product": lambda a: (a + 1).cumprod(1),
    "largest": lambda a: a.max(),
    "largest and product of a number": lambda a: (a.sum().max(), a.sum().prod(), a.sum().prod(0), a.sum().cumprod(0)),
    "mish": torch.nn.functional.mish,
    "binary cross entropy with a target that learns": lambda a: F.binary_cross_entropy(a.sigmoid(), a.cos()),
    "binary cross entropy": lambda a: F.binary_cross_entropy_with_logits(
        a, torch.zeros_like(a), pos_weight=torch.zeros_like(a)
    ),
}


FAST = ("sum of products", "square", "both factors", "index", "topk", "index_put", "product", "largest", "mish")
NEWER = {"smallest and largest of an axis": needs_torch(2, 12, "aminmax has no gradient")}


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAST else pytest.param(name, marks=[pytest.mark.slow, *filter(None, [NEWER.get(name)])])
        for name in IN_PLACE_GRADIENTS
    ],
)
def test_gradients_are_added_in_place(name):
    function = IN_PLACE_GRADIENTS[name]
    model = Forward(lambda self, x: function(self.layer(x)), layer=nn.Linear(32, 256, bias=False))
    assert_equal_peaks(model, (torch.zeros(16, 32),), train=True)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        zeros = torch.zeros_like(gradient)
        return zeros.index_add(0, torch.arange(len(zeros), device=zeros.device), gradient + gradient)


def test_a_function_with_its_own_gradient_adds_out_of_place():
    model = Forward(lambda self, x: Twice.apply(self.layer(x)), layer=nn.Linear(32, 256, bias=False))
    assert_equal_peaks(model, (torch.zeros(16, 32),), train=True)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("axes", [3, 4])
def test_a_linear_layer_adds_its_bias_in_place(axes, train):
    """With three axes only for inputs that are not contiguous, here transposed as in an MLP-Mixer."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x.transpose(1, -1)))).transpose(1, -1) + x

    model = Forward(forward, first=nn.Linear(16, 64), second=nn.Linear(64, 16))
    assert_equal_peaks(
        model, (torch.zeros(2, 16, 8, 8)[..., 0] if axes == 3 else torch.zeros(2, 16, 8, 8),), train=train
    )


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_folded_windows_keep_the_storage_of_all_windows(train):
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.fold(F.unfold(self.layer(x), 3), (8, 8), 3)

    assert_equal_peaks(Forward(forward, layer=nn.Conv2d(3, 4, 1)), (torch.zeros(2, 3, 8, 8),), train=train)


def test_a_linear_layer_within_vmap_adds_its_bias_out_of_place():
    model = Forward(lambda self, x: torch.vmap(self.layer)(x), layer=nn.Linear(16, 16))
    assert_equal_peaks(model, (torch.zeros(4, 16),), train=False)


def test_memory_of_many_steps_is_an_estimate():
    record = count_module(nn.GRU(8, 8), [torch.zeros(300, 1, 8)], {}, train=True, memory=True)
    assert any("estimated" in note for note in record.strict_notes)


@pytest.mark.filterwarnings("ignore:.*`torch.jit.*` is deprecated", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_memory_of_recurrent_layers_in_torchscript_is_an_estimate(kind):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.body = nn.Linear(8, 8), torch.jit.trace(kind(8, 8), torch.zeros(5, 1, 8))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.head(x))[0]

    notes = count_module(Net(), [torch.zeros(5, 1, 8)], {}, memory=True).strict_notes
    assert [note for note in notes if "estimated" in note and note.startswith("body")]
    scripted = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
    assert not count_module(scripted, [torch.zeros(5, 8)], {}, memory=True).strict_notes


def fused_kernel_takes_groups() -> bool:
    """Before torch 2.9 attention with fewer key heads runs unfused on a CPU."""
    query, key = torch.zeros(1, 2, 1, 8), torch.zeros(1, 1, 1, 8)
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            scaled_dot_product_attention(query, key, key, enable_gqa=True)
    except RuntimeError:
        return False
    return True


needs_fused_groups = pytest.mark.skipif(
    not fused_kernel_takes_groups(), reason="this torch's fused kernel needs as many key heads as query heads"
)


@pytest.mark.parametrize(
    ("backend", "groups"),
    [
        (SDPBackend.MATH, 8),
        (SDPBackend.MATH, 2),
        (SDPBackend.FLASH_ATTENTION, 8),
        pytest.param(SDPBackend.FLASH_ATTENTION, 2, marks=needs_fused_groups),
    ],
)
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("mask", [None, torch.bool, torch.float32, "causal"])
def test_attention_saves_what_its_backend_saves(backend, train, groups, mask):
    """The unfused products save all scores, the fused kernel the log-sum-exp of each row."""

    def forward(self, x):
        options = {"enable_gqa": True} if groups < 8 else {}
        with sdpa_kernel(backend):
            if mask == "causal":
                return attention(self, x, is_causal=True, **options)
            bias = None if mask is None else torch.ones(40, 40, dtype=mask, device=x.device)
            return attention(self, x, attn_mask=bias, **options)

    model, args = Forward(forward, **attention_parts(groups=groups)), sequence(40, 64)
    assert_equal_peaks(model, args, train=train)


@needs_fused_groups
def test_grouped_queries_save_no_scores():
    """Query, output: 32 heads of 128. Key and value: 8. Log-sum-exp: one per head and token; nothing is repeated."""
    query, key = (torch.zeros(1, heads, 64, 128, device="meta", requires_grad=True) for heads in (32, 8))
    model = Forward(lambda self, q, k: scaled_dot_product_attention(query=q, key=k, value=k + 0, enable_gqa=True))
    memory = track_memory(model, [query, key], train=True)
    assert memory.saved == FLOAT * 64 * (32 * 128 + 8 * 128 + 32)  # The query and the key are inputs.


def test_scratch_space_of_a_kernel_is_separate():
    """A convolution returns its output; its kernel may also allocate copies."""
    convolution = nn.Conv2d(16, 32, 3, padding=1)
    source = torch.zeros(1, 16, 20, 20)
    with torch.no_grad():
        allocations = blocks(lambda: convolution(source))
    assert [block.size for block in allocations if block.returned] == [FLOAT * 32 * 20 * 20]
    assert all(is_workspace(block) for block in allocations)


def test_the_divisor_of_a_mean_is_separate():
    """12 bytes: a float64 and the float32 made of it."""
    source = torch.zeros(1, 5, 7, 7)
    with torch.no_grad():
        allocations = blocks(lambda: source.mean([2, 3]))
    assert [block.size for block in allocations if block.returned] == [FLOAT * 5]
    assert sorted(block.size for block in allocations if not block.returned) in ([], [4, 8])


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def with_a_frozen_bias() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
    model[3].bias.requires_grad_(False)
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_optimizer_state_equals_what_the_optimizer_allocates(name, dtype):
    source = torch.zeros(2, 3, 8, 8, dtype=dtype)
    model = with_a_frozen_bias().to(dtype)
    memory = count_module(model, [source], {}, train=True, memory=True).memory
    assert memory.gradients == dtype.itemsize * (8 * 3 * 3 * 3 + 8 + 8 + 8 + 10 * 8 * 6 * 6)
    optimizer = OPTIMIZERS[name](model.parameters())
    model(source).sum().backward()
    optimizer.step()
    state = [item for values in optimizer.state.values() for item in values.values() if isinstance(item, Tensor)]
    assert sum(tensor.nbytes for tensor in state) == memory.optimizers[name].state


@pytest.mark.parametrize("batch", [1, 256])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_with_an_optimizer(name, batch):
    """At batch 1 the peak is in the optimizer's step, at batch 256 in the backward pass. Its state exists before."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
    source = torch.zeros(batch, 64)
    memory = count_module(model, [source], {}, train=True, memory=True).memory
    assert memory.peaks_in_step(name) == (batch == 1 and name.startswith("adam"))
    optimizer = OPTIMIZERS[name](model.parameters())
    run = training_step(model, (source,))

    def step() -> None:
        run()
        optimizer.step()

    step()
    constant = memory.parameters + memory.inputs + memory.optimizers[name].state
    assert constant + returned_peak(step) == memory.total(name)


@pytest.mark.parametrize("name", ["cnn", "encoder", "checkpointed", "tied_embedding", "frozen_backbone"])
def test_accumulated_gradients_exist_in_the_next_forward_pass(name):
    model, args = MODELS[name]()
    setup = TrainingSetup(accumulate=4)
    memory = count_module(model, args, {}, train=True, memory=setup).memory

    def passes() -> None:
        model.zero_grad(set_to_none=True)
        for _ in range(4):
            tensors = [tensor for tensor in output_tensors(model(*args)) if tensor.requires_grad]
            torch.autograd.backward(tensors, [torch.ones_like(tensor) for tensor in tensors])
            del tensors

    model.train()
    passes()
    assert memory.activations == returned_peak(passes)


def test_saved_activations_of_a_checkpoint_are_its_inputs():
    """Two of three inputs of (2, 24, 32); the first is the model's input. Without checkpoints also (2, 24, 128)."""
    model, args = MODELS["checkpointed"]()
    assert count_module(model, args, {}, train=True, memory=True).memory.saved == FLOAT * 2 * (2 * 24 * 32)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_an_encoder_of_checkpoints(reentrant, dropout):
    """Saved are the inputs of the layers and nothing of their second forward pass; as in BERT, with a mask."""

    def forward(self: Any, x: Tensor) -> Tensor:
        mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        x = self.first(x)
        for layer in self.layers:
            x = checkpoint(layer, x, None, mask, use_reentrant=reentrant)
        return x

    layer = partial(nn.TransformerEncoderLayer, 32, 4, 64, dropout=dropout, batch_first=True)
    model, args = Forward(forward, first=nn.Linear(32, 32), layers=nn.ModuleList(layer() for _ in range(3))), sequence()
    assert_equal_peaks(model, args, train=True)
    memory = count_module(model, args, {}, train=True, memory=True).memory
    assert memory.saved - 2 * 24 - 3 * FLOAT * (2 * 24 * 32) in (0, 3 * RANDOM_STATE)


LOSSES = [F.mse_loss, F.smooth_l1_loss, F.soft_margin_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_some_losses_keep_the_storage_of_all_losses(loss, reduction):
    model = Forward(
        lambda self, x: [loss(layer(x), x, reduction=reduction) for layer in (self.a, self.b)],
        a=nn.Linear(32, 32),
        b=nn.Linear(32, 32),
    )
    assert_equal_peaks(model, sequence(), train=True)


def test_16_bytes_a_parameter_in_mixed_precision_with_adam():
    """Weights 2, gradients 2, master weights 4, two states of 4; and a step counter for each of two tensors."""
    setup = TrainingSetup(optimizer="adam", precision="bf16-mixed")
    model, parameters = nn.Linear(100, 60), 100 * 60 + 60
    memory = count_module(model, [torch.zeros(1, 100)], {}, train=True, memory=setup).memory
    state = memory.optimizers["adam"].state
    assert (memory.parameters, memory.gradients) == (2 * parameters, 2 * parameters)
    assert (memory.master_weights, state) == (4 * parameters, 2 * 4 * parameters + 2 * 4)
    assert memory.parameters + memory.gradients + memory.master_weights + state == 16 * parameters + 8
    assert memory.inputs == 2 * 100
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_shares_of_four_devices(stage):
    """Each device has a quarter, rounded up: of the state from stage 1, of gradients from 2, of weights from 3."""
    setup = TrainingSetup(optimizer="momentum", devices=4, stage=stage)
    model = nn.Sequential(nn.Linear(10, 20, bias=False), nn.Linear(20, 5, bias=False))
    memory = count_module(model, [torch.zeros(1, 10)], {}, train=True, memory=setup).memory
    size, first, second = FLOAT * 300, FLOAT * 200, FLOAT * 100
    assert memory.optimizers["momentum"].state == size // 4
    assert memory.gradients == (size if stage == 1 else first // 4 + second // 4)
    assert memory.parameters == (size if stage < 3 else size // 4)
    # The first layer, while it runs: its gradient before it is reduced, its weights after they are gathered.
    assert memory.gathered == {1: 0, 2: first, 3: 2 * first}[stage]
    # In a second pass the gradient that is added to the first is a temporary tensor.
    setup = setup.replace(accumulate=2)
    memory = count_module(model, [torch.zeros(1, 10)], {}, train=True, memory=setup).memory
    assert memory.gathered == {1: 0, 2: 0, 3: first}[stage]


def test_a_batch_norm_at_inference_allocates_its_output_only():
    """On a CPU its batch statistics are empty; torch's meta decomposition would allocate two of them."""
    model = nn.BatchNorm2d(5, device="meta").eval()
    assert track_memory(model, [torch.zeros(2, 5, 4, 4, device="meta")]).activations == FLOAT * 2 * 5 * 4 * 4
