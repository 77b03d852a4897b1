"""Models of tens of billions of parameters from a folder's config.json: seconds and peak memory of `analyze`.

`python -m benchmarks.large_models`; needs transformers (the extra `zoo`). Nothing is downloaded: the folders are made
here. Each process is held against `import torch`, and against transformers alone: its own import, and the same model
built by it on meta. What lies between those two is not ours to save.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

CONFIGS: dict[str, dict[str, Any]] = {
    "llama-70b": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 8192,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
        "vocab_size": 128256,
    },
    "mixtral-8x22b": {
        "model_type": "mixtral",
        "architectures": ["MixtralForCausalLM"],
        "hidden_size": 6144,
        "num_hidden_layers": 56,
        "num_attention_heads": 48,
        "num_key_value_heads": 8,
        "intermediate_size": 16384,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 32768,
        "sliding_window": None,
    },
    "falcon-40b": {
        "model_type": "falcon",
        "architectures": ["FalconForCausalLM"],
        "hidden_size": 8192,
        "num_hidden_layers": 60,
        "num_attention_heads": 128,
        "num_kv_heads": 8,
        "new_decoder_architecture": True,
        "bias": False,
        "vocab_size": 65024,
    },
    "gpt-neox-20b": {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_size": 6144,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "intermediate_size": 24576,
        "vocab_size": 50432,
    },
}

BUILT_ALONE = """
import torch, transformers
config = transformers.AutoConfig.from_pretrained({folder!r}, local_files_only=True)
with torch.device("meta"):
    getattr(transformers, config.architectures[0])._from_config(config)
"""


class Process(NamedTuple):
    """What one whole process took."""

    seconds: float
    peak_bytes: int


def write(name: str, parent: Path) -> Path:
    """A folder with the configuration of that name and nothing else."""
    folder = parent / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIGS[name], "dtype": "bfloat16"}), encoding="utf-8")
    return folder


def measured(*arguments: str) -> Process:
    """A fresh Python with these arguments. Raises RuntimeError if it fails: a failure has no memory to report."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-W", "ignore", *arguments], stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)  # Of this child alone, which getrusage would mix with those before.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(arguments)} failed: {said.read().decode(errors='replace')[-500:]}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Process(time.perf_counter() - start, used.ru_maxrss * scale)


def counted(folder: Path, mode: str = "inference") -> Process:
    return measured("-m", "analyzer", "--model", f"hf:{folder}", "--depth", "1", "--mode", mode)


def alone(folder: Path) -> Process:
    return measured("-c", BUILT_ALONE.format(folder=str(folder)))


def main() -> None:
    measured("-c", "import torch, transformers")  # Fills the caches.
    plain = measured("-c", "import torch")
    table = Table("process", "seconds", "peak MiB", "/ import torch", "/ transformers alone", box=None)
    table.add_row("import torch", f"{plain.seconds:.1f}", f"{plain.peak_bytes / 2**20:.0f}", "1.00", "")
    with tempfile.TemporaryDirectory() as parent:
        for name in CONFIGS:
            folder = write(name, Path(parent))
            theirs, ours = alone(folder), counted(folder)
            for label, one in ((f"{name}: transformers alone", theirs), (f"{name}: analyze", ours)):
                table.add_row(
                    label,
                    f"{one.seconds:.1f}",
                    f"{one.peak_bytes / 2**20:.0f}",
                    f"{one.peak_bytes / plain.peak_bytes:.2f}",
                    f"{one.peak_bytes / theirs.peak_bytes:.2f}" if one is ours else "",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
