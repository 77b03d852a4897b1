"""A model that asks for a device or reads a value takes the path that it takes on the tensors it is given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from analyzer import count
from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.count_any_model import count_model, measure_memory

ONE = 2 * 8 * 8  # One call of the layer on two rows.


class Calls(nn.Module):
    """`forward` calls one layer as often as `times` says."""

    def __init__(self, times=None) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.times = times

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        for _ in range(self.times(self, x, *rest)):
            x = self.layer(x)
        return x


# --- devices ---------------------------------------------------------------------------------------------------------
BY_DEVICE = {
    "type": lambda x: 2 if x.device.type == "cpu" else 1,
    "is_cuda": lambda x: 1 if x.is_cuda else 2,
    "is_cpu": lambda x: 2 if x.is_cpu else 1,
    "is_meta": lambda x: 1 if x.is_meta else 2,
    "equal": lambda x: 2 if x.device == torch.device("cpu") else 1,
    "get_device": lambda x: 2 if x.get_device() < 0 else 1,
    "text": lambda x: 2 if "cpu" in str(x.device) else 1,
    "type_name": lambda x: 2 if x.type() == "torch.FloatTensor" else 1,
    "new": lambda x: 2 if torch.zeros(3, device=x.device).device == x.device else 1,
    "cpu": lambda x: 2 if x.cpu().device.type == "cpu" else 1,
    "getattr": lambda x: 2 if getattr(x, "dev" + "ice").type == "cpu" else 1,
    "storage": lambda x: 2 if x.untyped_storage().device.type == "cpu" else 1,
    "typed_storage": lambda x: 2 if x.storage().device.type == "cpu" else 1,
    "legacy_type": lambda x: 2 if isinstance(x, torch.FloatTensor) else 1,
    "other_legacy_type": lambda x: 1 if isinstance(x, torch.LongTensor) else 2,
    "converted": lambda x: 2 if x.type(torch.FloatTensor).dtype == torch.float32 else 1,
}
TEXTS = {
    "storage": lambda x: 1 if "meta" in str(x.untyped_storage()) else 2,
    "repr": lambda x: 1 if "meta" in repr(x) else 2,
    "str": lambda x: 1 if "meta" in str(x) else 2,
    "format": lambda x: 1 if "meta" in f"{x}" else 2,
    "percent": lambda x: 1 if "meta" in "%s" % (x,) else 2,  # noqa: UP031
}


@pytest.mark.parametrize("ask", BY_DEVICE)
@pytest.mark.parametrize("train", [False, True])
def test_the_device_is_that_of_the_given_tensors(ask, train):
    model = Calls(lambda model, x: BY_DEVICE[ask](x))
    result = count_model(model, (torch.zeros(2, 8),), train=train)
    assert (result.count.totals.macs, result.notes) == (2 * ONE, ())
    assert measure_memory(model, (torch.zeros(2, 8),), {}, train=train)[0] is not None


@pytest.mark.parametrize("ask", TEXTS)
def test_the_text_of_a_tensor_names_the_given_device_and_a_note_says_that_it_has_no_values(ask):
    result = count_model(Calls(lambda model, x: TEXTS[ask](x)), (torch.zeros(2, 8),))
    assert result.count.totals.macs == 2 * ONE
    assert [(note, note.strict) for note in result.notes] == [
        ("the model itself writes a tensor as text, in which the values are missing", False)
    ]


@pytest.mark.parametrize("ask", ["type", "is_meta", "storage", "legacy_type"])
def test_a_model_given_on_meta_is_on_meta(ask):
    with torch.device("meta"):
        model, x = Calls(lambda model, x: BY_DEVICE[ask](x)), torch.zeros(2, 8)
    assert count_model(model, (x,)).count.totals.macs == ONE


def test_a_parameters_device_is_that_of_the_given_model():
    model = Calls(lambda model, x: 2 if model.layer.weight.device.type == "cpu" else 1)
    assert count_model(model, (torch.zeros(2, 8),)).count.totals.macs == 2 * ONE


def test_tensors_made_on_a_reported_device_join_the_others():
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            scale = (
                torch.arange(8, device=x.device, dtype=x.dtype)
                + torch.ones(8).to(x.device)
                + torch.ones(8, device="cpu").to(x.device)
            )
            mask = torch.full((2, 1), 1.0, device=self.layer.weight.device)
            return self.layer(x.to("cpu") * scale * mask)

    result = count_model(Positions(), (torch.zeros(2, 8),), train=True)
    assert (result.count.totals.macs, result.count.totals.backward_macs, result.notes) == (ONE, ONE, ())


def test_tensors_have_their_own_attributes_after_a_count():
    before = {
        name: vars(torch.Tensor).get(name) for name in ("device", "is_meta", "is_cuda", "item", "type", "__repr__")
    }
    count_model(Calls(lambda model, x: BY_DEVICE["type"](x)), (torch.zeros(2, 8),))
    assert {name: vars(torch.Tensor).get(name) for name in before} == before


# --- refused values --------------------------------------------------------------------------------------------------
def handled(read):
    def times(model, x, *rest):
        try:
            return read(model, x, *rest)
        except Exception:
            return 5

    return times


READS = {
    "int": lambda model, x: int(x.sum()) - 13,  # 2 * 8 ones: 3.
    "item": lambda model, x: int(x.sum().item()) - 13,
    "nonzero": lambda model, x: len(x[:, 0].nonzero()) + 1,
    "mask": lambda model, x: len(x[x[:, 0] > 0]) + 1,
    "numpy": lambda model, x: int(x.detach().numpy().sum()) - 13,
    "tolist": lambda model, x: int(x.tolist()[0][0]) + 2,
    "equal": lambda model, x: 3 if torch.equal(x, x) else 1,
}


@pytest.mark.parametrize("read", READS)
def test_a_refused_value_is_read_elsewhere_although_the_model_handles_the_error(read):
    """Handled, every refusal would make five calls; three are right."""
    result = count_model(Calls(handled(READS[read])), (torch.ones(2, 8),))
    assert result.count.totals.macs == 3 * ONE
    assert result.notes[0].startswith("counted on")


def test_a_refused_value_of_a_weight_is_read_on_real_tensors():
    def of_weight(model, x):
        return int((model.layer.weight * 0).sum()) + 3

    result = count_model(Calls(handled(of_weight)), (torch.ones(2, 8),))
    assert result.count.totals.macs == 3 * ONE
    assert result.notes[0].startswith("counted on real tensors")


def test_a_handled_error_that_is_no_refusal_stays_the_models_own():
    def times(model, x):
        try:
            return model.layer(x[:, :3]).shape[0]
        except RuntimeError:
            return 5

    result = count_model(Calls(times), (torch.ones(2, 8),))
    assert (result.count.totals.macs, result.notes) == (5 * ONE, ())


def test_memory_at_meta_indices_is_never_read():
    """torch answers with memory as it was: a tensor on the CPU at indices on meta."""
    table = torch.tensor([3.0, 3.0, 3.0])
    model = Calls(lambda model, x: int(table[x[:, 0].long()][0]))
    assert count_model(model, (torch.ones(2, 8),)).count.totals.macs == 3 * ONE


# --- between meta and real tensors -----------------------------------------------------------------------------------
def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


# A layer: projections 4 * 16 * 16 and feed-forward 2 * 16 * 32 for each of 10 tokens; scores and values 2 * 5 * 5 * 16
# for each of 2 samples.
ENCODER = 2 * (10 * (4 * 256 + 1024) + 2 * 2 * 25 * 16)


@pytest.mark.parametrize(
    ("device", "inputs", "strict"), [("cpu", "cpu", False), ("meta", "cpu", False), ("meta", "meta", True)]
)
def test_an_encoder_with_a_float_mask(device, inputs, strict):
    """It reads the mask: known, or on zeros in place of a mask without values, which a strict note says."""
    with torch.device(device):
        model = encoder()
    result = count_model(model, (torch.zeros(2, 5, 16, device=inputs),), {"mask": torch.zeros(5, 5, device=inputs)})
    assert result.count.totals.macs == ENCODER
    assert [note.strict for note in result.notes] == [strict]


def test_known_values_are_those_of_the_inputs_and_leave_them_as_they_were():
    def times(model, x, lengths):
        lengths += 1
        return int(lengths.max())

    lengths = torch.tensor([1, 2])
    assert count_model(Calls(times), (torch.zeros(2, 8), lengths)).count.totals.macs == 3 * ONE
    assert lengths.tolist() == [1, 2]


def test_a_written_value_is_forgotten():
    """After it has been overwritten by a weight, the mask's value is known no longer."""

    def times(model, x, mask):
        mask.copy_(model.layer.weight[0])
        return 1 if mask.sum() > 1e6 else 2

    result = count_model(Calls(times), (torch.zeros(2, 8), torch.full((8,), 1e9)))
    assert result.count.totals.macs == 2 * ONE
    assert result.notes[0].startswith("counted on real tensors")


def test_autocast_is_counted_on_fake_tensors_as_on_real_ones():
    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.layer(x)

    fake, real = (count_model(Cast(), (torch.zeros(2, 8),), on=on).count for on in ("auto", "real"))
    assert count(Cast(), (torch.zeros(2, 8),)).notes[0].startswith("counted on fake tensors")
    assert fake.totals == real.totals


def test_large_models_on_meta_are_not_run_on_zeros():
    with torch.device("meta"):
        model = Calls(lambda model, x: int(x.sum()))
        model.unused = nn.Linear(100_000, 100_000)
    with pytest.raises(AnalyzerError, match="does not run"):
        count_model(model, (torch.zeros(2, 8, device="meta"),))


def test_a_model_on_fake_tensors_is_not_run_on_zeros():
    with FakeTensorMode():
        model, x = Calls(lambda model, x: int(x.sum())), torch.ones(2, 8)
    with pytest.raises(AnalyzerError, match="does not run"):
        count_model(model, (x,))


def test_errors_on_fake_tensors_are_not_logged(caplog):
    """torch would log the traceback of a wrong shape, which is reported in one line."""

    class Wrong(nn.Module):
        def forward(self, x):
            return x @ torch.zeros(7, 2)

    with pytest.raises(AnalyzerError, match="does not run on"):
        count(Wrong(), torch.zeros(1, 5))
    assert not caplog.records


def test_an_error_on_fake_tensors_is_not_logged(caplog):
    class Unfit(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x

    with pytest.raises(AnalyzerError, match="shapes cannot be multiplied"):
        count(Unfit(), torch.ones(2, 3))
    assert caplog.records == []
