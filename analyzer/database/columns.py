"""The columns of a result in the database, as the filter language, tables and exports name them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen

Kind: TypeAlias = Literal["text", "integer", "number", "boolean"]


class Column(Frozen):
    """`text` and `boolean` columns have a value in every row. An `integer` or a `number` may be unknown."""

    name: str
    kind: Kind
    meaning: str


COLUMNS = (
    Column("key", "text", "identifies the result: each key is stored once"),
    Column("run", "text", "name of the sweep or of the timed run"),
    Column("status", "text", "`ok` or `failed`"),
    Column("reason", "text", "why it failed"),
    Column("model", "text", "as on the command line, without its overrides"),
    Column("overrides", "text", "changed layer sizes of a built-in network: `inception_4a.reduce_5x5=32`"),
    Column("device", "text", "torch's name of the device"),
    Column("dtype", "text", "torch's name of the dtype"),
    Column("batch", "integer", "batch size"),
    Column("threads", "integer", "threads of a timed pass"),
    Column("layout", "text", "`contiguous` or `channels_last`"),
    Column("mode", "text", "`inference` or `training`"),
    Column("compiled", "boolean", "whether the model was compiled by `torch.compile`"),
    Column("flushed", "boolean", "whether caches were flushed before each pass"),
    Column("input", "text", "shapes without the batch: `3x224x224`"),
    Column("measure", "text", "what was measured: `counts`, `counts,memory,time`"),
    Column("params", "integer", "parameters"),
    Column("macs", "integer", "multiply-adds of the forward pass"),
    Column("flops", "integer", "FLOPs of the forward pass"),
    Column("activations", "integer", "elements produced by MAC operators"),
    Column("traffic", "integer", "memory traffic in bytes"),
    Column("peak_memory", "integer", "peak memory in bytes"),
    Column("time_s", "number", "median time of a pass in seconds"),
    Column("time_low_s", "number", "lower end of its 95 % confidence interval"),
    Column("time_high_s", "number", "upper end of its 95 % confidence interval"),
    Column("quality", "text", "`trusted`, `noisy` or `void`; empty without a time"),
    Column("attempts", "integer", "how often it was tried"),
    Column("host", "text", "name of the machine"),
    Column("machine", "text", "hash of the processor with its instruction set, or of the GPU with its driver"),
    Column("processor", "text", "model of the processor"),
    Column("gpu", "text", "name of the GPU; empty without one"),
    Column("torch", "text", "version of torch"),
    Column("commit", "text", "commit of the project"),
    Column("created", "text", "time of the measurement in UTC (ISO 8601)"),
    Column("started", "text", "start of the last attempt in UTC"),
    Column("ended", "text", "end of the last attempt in UTC"),
)  # fmt: skip
BY_NAME = {column.name: column for column in COLUMNS}
NAMES = tuple(BY_NAME)
TIMESTAMPS = ("created", "started", "ended")
# The JSON beside the columns: the whole record (None for a failed result), and the configuration of the sweep.
DOCUMENTS = ("record", "case")
