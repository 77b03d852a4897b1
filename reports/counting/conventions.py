"""The conventions of counting in short, for `analyze conventions` and the page; docs/conventions.md has all of them."""

from __future__ import annotations

from reports.table import Table, columns

NUMBERS = (
    ("MACs", "Multiply-adds of convolutions, linear layers, matrix products, attention and recurrent cells. Bias is "
     "not counted; padding counts as data."),
    ("FLOPs", "2 x MACs, plus bias 1 per output element, elementwise functions 1, pools their window's size, LRN "
     "2n + 3, batch norm 2 (6 in training), other norms 6, softmax 5. Views, copies and concatenation 0."),
    ("params", "Weights and biases. Tied parameters count once."),
    ("activations", "Output elements of operators that have MACs."),
    ("read, written", "The minimum memory traffic of an operator in isolation: inputs and parameters read, outputs "
     "written, each once. FLOP/B: FLOPs ÷ (read + written)."),
    ("memory", "Peak bytes of the tensors in memory over a pass, including parameters, buffers and inputs. In training "
     "also by purpose, with the state of the selected optimizer. B are bytes."),
    ("time", "Medians of passes without instrumentation in fresh processes. Operator times are means over the middle "
     "half of the instrumented passes, so that they add up. The quality (trusted, noisy or void) states whether a time "
     "can be trusted."),
    ("ratio", "The change relative to the first network: below a factor of 2 as a percentage, else as a factor. "
     "Less is green and more is red, in every metric."),
)  # fmt: skip
TIMES = (
    ("time, ±", "Median of uninstrumented passes in fresh processes, and the half width of its 95 % confidence "
     "interval (bootstrap over processes). Speed: samples per second relative to the first row. Operators are "
     "interquartile means, which add up to a pass; shares are of MACs, then of time. FLOP/s of a backward pass: 2 x "
     "MACs."),
    ("sum, overhead", "Operators and overhead relative to the uninstrumented pass, both interquartile means. If the "
     "sum is more than 3 % off, the machine's speed changed or instrumentation changed the operators that run. "
     "Overhead: time between operators, as a share of the sum. Passes, processes: how many were not disturbed."),
    ("GPU time, GPU utilization", "GPU time: that of a pass which is queued completely before the GPU starts, so "
     "without launch overhead. Utilization: GPU time relative to wall time. Operator times are GPU time, minus the "
     "measured cost of the timing events."),
)  # fmt: skip
TABLES = (
    ("module", "`0–11` are equal modules in one row, with the sum of their figures; --no-fold lists them. (own "
     "forward): the operators of a module outside its submodules; (top level): those of the model itself."),
    ("type", "The class of a module, with channels or features before and after, window/stride and groups: "
     "Conv2d 3→64 7x7/2. `12 × Block` are 12 equal modules. Without a class: the operators that have MACs."),
    ("output", "The shape of the module's last output, without the batch. Figures are for the whole batch."),
    ("share", "Share of all MACs; in training, of the MACs of the step."),
    ("forward, backward, step", "MACs of the forward pass, of the gradients of inputs and weights, and their sum. "
     "FLOPs of a step: those of the forward pass plus 2 x the backward MACs; the optimizer is not counted."),
)  # fmt: skip


def table() -> Table:
    rows = [(name, text) for name, text in (*NUMBERS, *TABLES, *TIMES)]
    notes = ("docs/conventions.md has the formula of every operator.",)
    return Table(
        "Conventions", columns("number or column", "meaning", left=("meaning",)), tuple(rows), prose=True, notes=notes
    )
