"""Built networks: torchvision's names, shapes and outputs, auxiliary heads, the loss, and refused inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.models.spec_to_module import Outputs, auxiliary_loss, build, drop_auxiliary
from analyzer.networks import VARIANTS

State = Mapping[str, Tensor]
FAST = ("googlenet", "googlenet-torchvision", "nin")  # The others take seconds to initialize.


def random_state(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Random values, so that every parameter and statistic affects the output; variances are positive."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.dim() > 1:
            fan_in = value[0].numel()
            state[name] = torch.randn(value.shape, generator=generator) * (2 / fan_in) ** 0.5
        else:
            state[name] = 0.2 * torch.randn(value.shape, generator=generator) + (1 if "bn.weight" in name else 0)
    return state


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def shapes(state: State) -> list[tuple[str, list[int]]]:
    return [(name, list(value.shape)) for name, value in state.items()]


# --- an independent copy of torchvision/models/googlenet.py as functions of a state dict; no code of analyzer/ -------
def unit(state: State, name: str, x: Tensor, *, stride: int = 1, padding: int = 0, training: bool = False) -> Tensor:
    """BasicConv2d."""
    x = F.conv2d(x, state[f"{name}.conv.weight"], None, stride, padding)
    # In training this updates the running statistics, which are copies made by the test.
    mean, variance = state[f"{name}.bn.running_mean"], state[f"{name}.bn.running_var"]
    weight, bias = state[f"{name}.bn.weight"], state[f"{name}.bn.bias"]
    return F.relu(F.batch_norm(x, mean, variance, weight, bias, training, 0.1, eps=1e-3))


def module(state: State, name: str, x: Tensor, *, training: bool) -> Tensor:
    first = unit(state, f"{name}.branch1", x, training=training)
    second = unit(state, f"{name}.branch2.0", x, training=training)
    second = unit(state, f"{name}.branch2.1", second, padding=1, training=training)
    third = unit(state, f"{name}.branch3.0", x, training=training)
    third = unit(state, f"{name}.branch3.1", third, padding=1, training=training)
    fourth = F.max_pool2d(x, 3, 1, 1, ceil_mode=True)
    fourth = unit(state, f"{name}.branch4.1", fourth, training=training)
    return torch.cat([first, second, third, fourth], 1)


def head(state: State, name: str, x: Tensor) -> Tensor:
    """InceptionAux in training, without dropout."""
    x = unit(state, f"{name}.conv", F.adaptive_avg_pool2d(x, (4, 4)), training=True)
    x = F.relu(F.linear(torch.flatten(x, 1), state[f"{name}.fc1.weight"], state[f"{name}.fc1.bias"]))
    return F.linear(x, state[f"{name}.fc2.weight"], state[f"{name}.fc2.bias"])


def googlenet(state: State, x: Tensor, *, training: bool = False) -> tuple[Tensor, list[Tensor]]:
    """The logits, and in training the logits of both heads; without dropout."""
    heads = []
    x = unit(state, "conv1", x, stride=2, padding=3, training=training)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = unit(state, "conv2", x, training=training)
    x = unit(state, "conv3", x, padding=1, training=training)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = module(state, "inception3a", x, training=training)
    x = module(state, "inception3b", x, training=training)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = module(state, "inception4a", x, training=training)
    if training:
        heads.append(head(state, "aux1", x))
    for letter in "bcd":
        x = module(state, f"inception4{letter}", x, training=training)
    if training:
        heads.append(head(state, "aux2", x))
    x = module(state, "inception4e", x, training=training)
    x = F.max_pool2d(x, 2, 2, ceil_mode=True)
    x = module(state, "inception5a", x, training=training)
    x = module(state, "inception5b", x, training=training)
    x = torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)
    return F.linear(x, state["fc.weight"], state["fc.bias"]), heads


def alexnet(state: State, x: Tensor) -> Tensor:
    """torchvision/models/alexnet.py, at inference."""

    def conv(number: int, x: Tensor, stride: int, padding: int) -> Tensor:
        weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
        return F.relu(F.conv2d(x, weight, bias, stride, padding))

    def linear(number: int, x: Tensor) -> Tensor:
        return F.linear(x, state[f"classifier.{number}.weight"], state[f"classifier.{number}.bias"])

    x = F.max_pool2d(conv(0, x, 4, 2), 3, 2)
    x = F.max_pool2d(conv(3, x, 1, 2), 3, 2)
    x = conv(10, conv(8, conv(6, x, 1, 1), 1, 1), 1, 1)
    x = torch.flatten(F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2), (6, 6)), 1)
    return linear(6, F.relu(linear(4, F.relu(linear(1, x)))))


@pytest.fixture(scope="module")
def trained_state() -> dict[str, Tensor]:
    """A state dict with heads, as in torchvision's published file."""
    return random_state(build("googlenet-torchvision", train=True))


# --- names, shapes, loading ------------------------------------------------------------------------------------------
def test_state_dict_names_and_shapes_are_torchvisions_googlenet(reference):
    table = reference("torchvision_googlenet")
    expected = [(name, shape) for name, shape in table["state_dict"]]
    built = shapes(build("googlenet-torchvision", train=True).state_dict())
    assert len(built) == table["state_dict_entries_with_aux"] == 364
    assert sorted(built) == sorted(expected)
    deployed = shapes(build("googlenet-torchvision").state_dict())
    assert len(deployed) == table["state_dict_entries_without_aux"] == 344
    assert sorted(deployed) == sorted((name, shape) for name, shape in expected if not name.startswith("aux"))


def test_state_dict_names_and_shapes_are_torchvisions_alexnet(reference):
    expected = []
    for layer in reference("torchvision_alexnet")["layers"]:
        expected += [(f"{layer['name']}.weight", layer["weight"]), (f"{layer['name']}.bias", layer["weight"][:1])]
    assert shapes(build("alexnet-torchvision").state_dict()) == expected


def test_a_file_with_heads_loads_strictly_into_the_training_build(trained_state):
    model = build("googlenet-torchvision", train=True)
    model.load_state_dict(trained_state, strict=True)
    loaded = model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trained_state.items())


def test_a_file_with_heads_loads_into_the_inference_build_after_drop_auxiliary_only(trained_state):
    model = build("googlenet-torchvision")
    with pytest.raises(RuntimeError, match=r"Unexpected key.*aux1\.conv\.conv\.weight"):
        model.load_state_dict(trained_state, strict=True)
    dropped = drop_auxiliary(trained_state)
    assert len(trained_state) - len(dropped) == 364 - 344
    assert not any(name.startswith("aux") for name in dropped)
    model.load_state_dict(dropped, strict=True)


def test_a_file_without_heads_does_not_load_into_the_training_build(trained_state):
    model = build("googlenet-torchvision", train=True)
    with pytest.raises(RuntimeError, match=r"Missing key.*aux1\.conv\.conv\.weight"):
        model.load_state_dict(drop_auxiliary(trained_state), strict=True)


def test_drop_auxiliary_keeps_everything_else(trained_state):
    dropped = drop_auxiliary(trained_state)
    assert list(dropped) == [name for name in trained_state if name[:5] not in ("aux1.", "aux2.")]
    assert all(dropped[name] is trained_state[name] for name in dropped)
    assert drop_auxiliary({"auxiliary.weight": 1, "aux10.weight": 2}) == {"auxiliary.weight": 1, "aux10.weight": 2}


@pytest.mark.parametrize(("name", "net"), [("googlenet", "googlenet_caffe"), ("alexnet", "alexnet_caffe")])
def test_weights_have_caffes_shapes(reference, name, net):
    """Caffe's filters are (outputs, inputs / groups, height, width), with the same number of elements."""
    expected = [(layer["weights"], layer["biases"]) for layer in reference(net)["layers"] if layer["weights"]]
    parameters = dict(build(name).named_parameters())
    built = [
        (value.numel(), parameters[key.replace("weight", "bias")].numel())
        for key, value in parameters.items()
        if key.endswith("weight")
    ]
    assert built == expected


# --- outputs ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(96, 96), (75, 113)])
def test_outputs_are_torchvisions(trained_state, size):
    model = build("googlenet-torchvision")
    model.load_state_dict(drop_auxiliary(trained_state), strict=True)
    x = image(2, 3, *size)
    with torch.no_grad():
        expected, heads = googlenet(trained_state, x.clone())
        torch.testing.assert_close(model(x.clone()), expected, rtol=0, atol=1e-5)
    assert heads == []
    assert expected.abs().max() > 0.1  # The comparison is not of zeros.


def test_outputs_and_statistics_in_training_are_torchvisions(trained_state):
    model = build("googlenet-torchvision", train=True)
    model.load_state_dict(trained_state, strict=True)
    without_dropout(model)
    x = image(4, 3, 96, 96)
    state = {name: value.clone() for name, value in trained_state.items()}
    with torch.no_grad():
        expected, heads = googlenet(state, x.clone(), training=True)
        outputs = model(x.clone())
    assert isinstance(outputs, Outputs)
    for output, reference_output in zip(outputs, [expected, *heads], strict=True):
        torch.testing.assert_close(output, reference_output, rtol=0, atol=1e-5)
    updated = model.state_dict()
    for name, value in state.items():
        if "running" in name:
            torch.testing.assert_close(updated[name], value, rtol=0, atol=1e-5)
        if name.endswith("num_batches_tracked"):
            assert updated[name] == 8


def test_a_training_build_in_eval_mode_has_the_outputs_of_the_inference_build(trained_state):
    trained, deployed = build("googlenet-torchvision", train=True).eval(), build("googlenet-torchvision")
    trained.load_state_dict(trained_state)
    deployed.load_state_dict(drop_auxiliary(trained_state))
    x = image(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(trained(x.clone()), deployed(x.clone()))


def test_a_changed_weight_changes_the_outputs(trained_state):
    """A change of 0.1 % in one of 57 layers exceeds the tolerance of the comparisons."""
    x = image(1, 3, 96, 96)
    with torch.no_grad():
        expected, _ = googlenet(trained_state, x)
        changed = dict(trained_state)
        changed["inception4c.branch3.1.conv.weight"] = 1.001 * changed["inception4c.branch3.1.conv.weight"]
        other, _ = googlenet(changed, x)
    assert (other - expected).abs().max() > 1e-5


def test_outputs_are_those_of_torchvisions_alexnet():
    model = build("alexnet-torchvision")
    state = random_state(model)
    model.load_state_dict(state, strict=True)
    x = image(2, 3, 96, 80)
    with torch.no_grad():
        expected = alexnet(state, x.clone())
        torch.testing.assert_close(model(x.clone()), expected, rtol=0, atol=1e-5)
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("name", ["googlenet-torchvision", "alexnet-torchvision"])
def test_against_torchvision_itself(name):
    reason = "torchvision comes with the extra macscope[zoo]; the functional copy above is tested without it"
    models = pytest.importorskip("torchvision.models", reason=reason)
    if name == "alexnet-torchvision":
        expected = models.alexnet(weights=None)
    else:
        expected = models.googlenet(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    state = random_state(expected)
    expected.load_state_dict(state)
    built = build(name, train=True)
    built.load_state_dict(state, strict=True)
    x = image(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(built.eval()(x.clone()), expected.eval()(x.clone()), rtol=0, atol=1e-5)


# --- building --------------------------------------------------------------------------------------------------------
def without_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in VARIANTS]
)
@pytest.mark.parametrize("train", [False, True])
def test_every_variant_builds_runs_and_has_the_counted_parameters(name, train):
    model = build(name, train=train, input=(3, 64, 64))
    assert model.training is train
    assert all(value.device.type == "cpu" and value.dtype == torch.float32 for value in model.parameters())
    rows = {row.path: row for row in analyzer.count(name, train=train, input=(3, 64, 64)).rows}
    assert sum(value.numel() for value in model.parameters()) == sum(row.params for row in rows.values())
    assert {path.rpartition(".")[0] for path, _ in model.named_parameters()} == {
        path for path, row in rows.items() if row.params
    }
    with torch.no_grad():
        outputs = model(image(2, 3, 64, 64))
    heads = train and "googlenet" in name
    for logits in outputs if heads else [outputs]:
        assert logits.shape == (2, 1000)
        assert logits.isfinite().all()
    assert isinstance(outputs, Outputs) is heads


def test_the_same_seed_builds_the_same_network():
    torch.manual_seed(3)
    first = build("googlenet", input=(3, 64, 64)).state_dict()
    torch.manual_seed(3)
    second = build("googlenet", input=(3, 64, 64)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(value.any() for name, value in first.items() if name.endswith("bias"))


def test_other_input_channels():
    model = build("googlenet", input=(1, 64, 64))
    assert model.get_submodule("conv1.conv").weight.shape == (64, 1, 7, 7)


def fully_connected(model: nn.Module) -> Iterator[tuple[str, int]]:
    return ((name, layer.in_features) for name, layer in model.named_modules() if isinstance(layer, nn.Linear))


def test_fully_connected_layers_are_built_for_their_input():
    """At 320 the heads pool 20x20 to 6x6 (ceil((20 - 5) / 3) + 1) and VGG-16's last pool leaves 10x10."""
    assert dict(fully_connected(build("googlenet", train=True, input=(3, 320, 320)))) == {
        "aux1.fc": 128 * 6 * 6,
        "aux1.linear": 1024,
        "aux2.fc": 128 * 6 * 6,
        "aux2.linear": 1024,
        "linear": 1024,
    }
    assert dict(fully_connected(build("googlenet-fc-head", input=(3, 96, 96)))) == {"fc": 1024 * 3 * 3, "linear": 1024}
    assert dict(fully_connected(build("vgg16", input=(3, 96, 96))))["fc6"] == 512 * 3 * 3
    # torchvision's variants keep their adaptive pools: the layers stay.
    assert dict(fully_connected(build("alexnet-torchvision", input=(3, 96, 96))))["classifier.1"] == 256 * 6 * 6
    trained = build("googlenet-torchvision", train=True, input=(3, 320, 320))
    assert dict(fully_connected(trained))["aux1.fc1"] == 128 * 4 * 4


def test_overrides_reach_the_built_network():
    model = build("googlenet", overrides={"inception_4a.reduce_5x5": 32})
    assert model.get_submodule("inception_4a.branch_5x5.reduce.conv").weight.shape == (32, 480, 1, 1)
    assert model.get_submodule("inception_4a.branch_5x5.conv").weight.shape == (48, 32, 5, 5)


def test_bad_names_and_inputs_are_refused():
    with pytest.raises(AnalyzerError, match="unknown variant 'googlenett'; nearest: googlenet"):
        build("googlenett")
    with pytest.raises(AnalyzerError, match=r"googlenet\.pool4 with input 3x16x16: a 3x3 window does not fit"):
        build("googlenet", input=(3, 16, 16))


# --- the loss --------------------------------------------------------------------------------------------------------
def test_auxiliary_loss_weighs_1_and_0_3_and_0_3_exactly():
    logits = torch.randn(3, 5, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    target = torch.tensor([1, 2, 3, 4, 5])
    outputs = Outputs(*logits)
    terms = [F.cross_entropy(exit_logits, target) for exit_logits in logits]
    loss = auxiliary_loss(outputs, target)
    torch.testing.assert_close(loss, terms[0] + 0.3 * terms[1] + 0.3 * terms[2], rtol=1e-15, atol=0)
    # The weights again: the gradient of the loss against the gradient of each term.
    (whole,) = torch.autograd.grad(loss, logits)
    for index, weight in enumerate((1.0, 0.3, 0.3)):
        (term,) = torch.autograd.grad(F.cross_entropy(logits[index], target), logits)
        torch.testing.assert_close(whole[index], weight * term[index], rtol=1e-14, atol=1e-18)


def test_loss_of_a_network_without_heads_is_its_logits():
    logits, target = torch.randn(4, 10, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])
    assert torch.equal(auxiliary_loss(logits, target), F.cross_entropy(logits, target))
