"""FLOPs and bytes of single rows: the arithmetic of docs/conventions.md, with 4 bytes per float32 element."""

from __future__ import annotations

import subprocess
import sys

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.counting.closed_form.formulas import FORMULAS, count_steps
from analyzer.networks.spec import (
    LAYERS,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Branches,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
    Sequential,
)
from analyzer.networks.walk import walk
from analyzer.records.rows import Row


def row(name: str, path: str, *, op: str | None = None, **settings: object) -> Row:
    (match,) = (row for row in count(name, **settings).rows if row.path == path and op in (None, row.op))
    return match


def single(layer: Node, shape: tuple[int, ...], *, batch: int = 1, train: bool = False) -> Row:
    network = Network("single", "one layer", "this test", {"layer": layer}, shape)
    mode = "training" if train else "inference"
    (only,) = count_steps(walk(network, batch=batch, mode=mode), mode).rows
    return only


def test_every_layer_of_a_network_spec_has_a_formula():
    assert set(FORMULAS) == set(LAYERS)


def test_a_layer_without_formula_is_named():
    class Odd(ReLU):
        op = "odd"

    with pytest.raises(AnalyzerError, match="Odd at layer"):
        single(Odd(), (3, 8, 8))


def test_convolution_with_bias():
    conv = row("googlenet", "conv1.conv")
    outputs = 112 * 112 * 64
    assert conv.macs == outputs * 7 * 7 * 3
    assert conv.flops == 2 * outputs * 7 * 7 * 3 + outputs  # The bias is one addition an output element.
    assert (conv.weights, conv.biases, conv.params) == (64 * 3 * 7 * 7, 64, 64 * 3 * 7 * 7 + 64)
    assert conv.activations == outputs
    assert conv.bytes_read == 4 * (3 * 224 * 224 + 64 * 3 * 7 * 7 + 64)
    assert conv.bytes_written == 4 * outputs


def test_convolution_without_bias():
    conv = row("googlenet-torchvision", "conv1.conv")
    assert conv.flops == 2 * 112 * 112 * 64 * 7 * 7 * 3
    assert (conv.biases, conv.params) == (0, 64 * 3 * 7 * 7)
    assert conv.bytes_read == 4 * (3 * 224 * 224 + 64 * 3 * 7 * 7)


def test_grouped_convolution_reads_its_share_of_the_inputs():
    conv = row("alexnet", "conv2")
    assert conv.weights == 256 * (96 // 2) * 5 * 5
    assert conv.macs == 27 * 27 * 256 * (96 // 2) * 5 * 5
    assert conv.flops == 2 * 27 * 27 * 256 * (96 // 2) * 5 * 5 + 27 * 27 * 256


def test_a_batch_reads_its_weights_once():
    conv = row("googlenet", "conv1.conv", batch=8)
    assert conv.bytes_read == 4 * (8 * 3 * 224 * 224 + 64 * 3 * 7 * 7 + 64)
    assert conv.bytes_written == 4 * 8 * 112 * 112 * 64


def test_linear():
    linear = row("googlenet", "linear")
    assert linear.macs == 1024 * 1000
    assert linear.flops == 2 * 1024 * 1000 + 1000
    assert linear.bytes_read == 4 * (1024 + 1024 * 1000 + 1000)
    assert linear.bytes_written == 4 * 1000
    bare = single(Linear(10, bias=False), (24,), batch=2)
    assert (bare.macs, bare.flops, bare.params) == (2 * 24 * 10, 2 * 2 * 24 * 10, 24 * 10)


def test_relu_in_place_reads_and_writes():
    relu = row("googlenet", "conv1.relu")
    elements = 112 * 112 * 64
    assert (relu.flops, relu.macs, relu.params, relu.activations) == (elements, 0, 0, 0)
    assert (relu.bytes_read, relu.bytes_written) == (4 * elements, 4 * elements)


def test_local_response_norm_is_2n_plus_3_an_element():
    norm = row("googlenet", "norm1")
    elements = 56 * 56 * 64
    assert norm.flops == elements * (2 * 5 + 3)
    assert (norm.bytes_read, norm.bytes_written) == (4 * elements, 4 * elements)
    assert (norm.macs, norm.activations, norm.params) == (0, 0, 0)
    assert single(LRN(size=3), (8, 5, 5)).flops == 8 * 5 * 5 * (2 * 3 + 3)


def test_window_pools():
    pool = row("googlenet", "pool1")
    assert pool.flops == 56 * 56 * 64 * 3 * 3  # Also where ceil mode leaves a window partly outside: 112 is even.
    assert pool.bytes_read == 4 * 112 * 112 * 64
    assert pool.bytes_written == 4 * 56 * 56 * 64
    average = row("googlenet", "aux1.pool", train=True)
    assert average.outputs == ((1, 512, 4, 4),)
    assert average.flops == 4 * 4 * 512 * 5 * 5
    assert single(MaxPool(3, 2), (2, 8, 8)).outputs == ((1, 2, 4, 4),)
    assert single(MaxPool(3, 2, ceil=False), (2, 8, 8)).outputs == ((1, 2, 3, 3),)
    assert single(AvgPool(2, 3), (2, 9, 9)).flops == 3 * 3 * 2 * 2 * 2


def test_global_and_adaptive_pools_cost_one_operation_per_input_element():
    pool = row("googlenet", "pool5")
    assert pool.flops == 7 * 7 * 1024
    assert pool.bytes_read == 4 * 7 * 7 * 1024
    assert pool.bytes_written == 4 * 1024
    assert single(AdaptiveAvgPool(4), (6, 14, 14)).flops == 14 * 14 * 6


def test_batch_norm_in_both_modes():
    elements, channels = 112 * 112 * 64, 64
    norm = row("googlenet-torchvision", "conv1.bn")
    assert (norm.weights, norm.biases, norm.macs, norm.activations) == (channels, channels, 0, 0)
    assert norm.flops == 2 * elements
    # It reads weight, bias, running mean and running variance.
    assert (norm.bytes_read, norm.bytes_written) == (4 * (elements + 4 * channels), 4 * elements)
    trained = row("googlenet-torchvision", "conv1.bn", train=True)
    assert trained.flops == 6 * elements
    # It writes the running statistics too.
    assert (trained.bytes_read, trained.bytes_written) == (
        4 * (elements + 4 * channels),
        4 * (elements + 2 * channels),
    )


def test_dropout_in_both_modes():
    idle = row("googlenet", "dropout")
    assert (idle.flops, idle.bytes_read, idle.bytes_written) == (0, 0, 0)
    busy = row("googlenet", "dropout", train=True)
    assert busy.flops == 2 * 1024
    assert (busy.bytes_read, busy.bytes_written) == (4 * 1024, 4 * 1024)


def test_concatenation_has_traffic_and_no_flops():
    cat = row("googlenet", "inception_3a", op="cat")
    assert cat.inputs == tuple((1, width, 28, 28) for width in (64, 128, 32, 32))
    assert cat.outputs == ((1, 256, 28, 28),)
    assert (cat.flops, cat.macs, cat.activations) == (0, 0, 0)
    assert (cat.bytes_read, cat.bytes_written) == (4 * 28 * 28 * 256, 4 * 28 * 28 * 256)


def test_a_view_costs_nothing():
    view = row("googlenet", "flatten")
    assert view.outputs == ((1, 1024),)
    assert (view.flops, view.macs, view.bytes_read, view.bytes_written) == (0, 0, 0, 0)
    assert single(Flatten(), (3, 5, 7), batch=2).outputs == ((2, 3 * 5 * 7),)


def test_module_sums_and_intensity():
    record = count("googlenet")
    module = next(module for module in record.modules if module.path == "inception_4a.branch_5x5.reduce")
    outputs = 14 * 14 * 16
    conv_flops, relu_flops = 2 * outputs * 480 + outputs, outputs
    conv_bytes = 4 * (14 * 14 * 480 + 480 * 16 + 16 + outputs)
    relu_bytes = 4 * 2 * outputs
    assert module.totals.flops == conv_flops + relu_flops
    assert module.totals.traffic == conv_bytes + relu_bytes
    assert module.totals.intensity == (conv_flops + relu_flops) / (conv_bytes + relu_bytes)


@pytest.mark.parametrize("conv", [Conv(12, 3, 2, groups=3), Conv(6, 5, 3, padding=0), Conv(9, 1, bias=False)])
def test_multiply_adds_are_what_a_loop_would_do(conv):
    """For each output element, each channel of its group and each position of the window."""
    row = single(conv, (6, 11, 9), batch=2)
    batch, out, height, width = row.outputs[0]
    steps = sum(6 // conv.groups for _ in range(batch * out * height * width) for _ in range(conv.kernel * conv.kernel))
    assert row.macs == steps


# --- the backward pass -----------------------------------------------------------------------------------------------
def test_the_backward_pass_is_gradients_of_weights_and_inputs():
    """Each gradient costs as much as the forward pass; the first convolution has none for the image."""
    rows = {(row.path, row.op): row for row in count("googlenet", train=True).rows}
    first = rows["conv1.conv", "conv2d"]
    assert first.backward_macs == first.macs == 112 * 112 * 64 * 7 * 7 * 3
    second = rows["conv2_reduce.conv", "conv2d"]
    assert second.backward_macs == 2 * 56 * 56 * 64 * 64
    assert rows["linear", "linear"].backward_macs == 2 * 1024 * 1000
    for (path, op), row in rows.items():
        assert row.backward_macs == (1 if path == "conv1.conv" else 2) * row.macs, (path, op)
    totals = count("googlenet", train=True).totals
    assert totals.backward_macs == 2 * totals.macs - first.macs


def test_a_batch_multiplies_the_backward_pass():
    single_sample, three = (count("nin", train=True, batch=batch).totals for batch in (1, 3))
    assert three.backward_macs == 3 * single_sample.backward_macs


def test_layers_that_read_the_image_have_no_input_gradient():
    """Pools and activations have no parameters; a batch norm or one of two branches before a convolution has."""

    def backward(rows: dict[str, Node]) -> dict[str, tuple[int, int | None]]:
        network = Network("branched", "t", "s", rows, (4, 9, 9))
        counted = count_steps(walk(network, batch=2, mode="training"), "training").rows
        return {row.path: (row.macs, row.backward_macs) for row in counted if row.macs}

    plain = backward({"pool": MaxPool(3, 2), "relu": ReLU(), "fork": Branches({"a": Conv(2, 1), "b": Conv(3, 3)})})
    assert [back / macs for macs, back in plain.values()] == [1, 1]
    normed = backward({"norm": BatchNorm(), "conv": Conv(2, 1)})
    assert [back / macs for macs, back in normed.values()] == [2]
    joined = backward({"fork": Branches({"same": Sequential({}), "conv": Conv(3, 3)}), "after": Conv(2, 1)})
    assert [back / macs for macs, back in joined.values()] == [1, 2]


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "nin"])
def test_backward_macs_at_inference_are_none_and_not_0(name):
    record = count(name)
    assert {row.backward_macs for row in record.rows} == {None}
    assert record.totals.backward_macs is None


HEAVY = ("torch", "fvcore", "pandas", "plotly", "numpy", "hypothesis")


@pytest.mark.parametrize(
    "code",
    [
        "import analyzer",
        "import analyzer.counting.api, analyzer.core.units, analyzer.records.comparison, analyzer.records.record_json",
        "import analyzer; analyzer.count('googlenet', train=True).modules",
        "import analyzer; analyzer.compare('googlenet', 'alexnet').metrics",
        "import analyzer; from analyzer.networks import VARIANTS; [analyzer.count(name) for name in VARIANTS]",
        "import analyzer; from analyzer.records import record_json as j; j.load(j.dump([analyzer.count('googlenet')]))",
    ],
)
def test_counting_a_named_network_imports_no_heavy_package(code):
    """Rule 1 of DESIGN: readers never import torch or fvcore; the closed form needs neither them nor pandas."""
    seen = f"import sys; print(sorted({{name.partition('.')[0] for name in sys.modules}} & {set(HEAVY)}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{seen}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_import_check_sees_torch():
    seen = f"import sys; print(sorted({{name.partition('.')[0] for name in sys.modules}} & {set(HEAVY)}))"
    done = subprocess.run(
        [sys.executable, "-c", f"import analyzer; analyzer.build\n{seen}"], capture_output=True, text=True, check=True
    )
    assert "torch" in done.stdout
