"""Seconds and peak memory of `analyze` on models with tens of billions of parameters, from a config.json alone.

`python -m benchmarks.large_models` needs transformers (the extra `zoo`) and downloads nothing: it writes the folders.
The bases are `import torch`, and transformers alone: its import, and the same model built by it on meta. We cannot
reduce what transformers alone takes.
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

from benchmarks.common import parse_options

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

BUILD = """
import torch, transformers
config = transformers.AutoConfig.from_pretrained({folder!r}, local_files_only=True)
with torch.device("meta"):
    getattr(transformers, config.architectures[0])._from_config(config)
"""


class Process(NamedTuple):
    seconds: float
    peak_bytes: int


def write(name: str, parent: Path) -> Path:
    """A folder that has only the config.json of that name."""
    folder = parent / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIGS[name], "dtype": "bfloat16"}), encoding="utf-8")
    return folder


def run_python(*arguments: str) -> Process:
    """Runs a fresh Python with these arguments. Raises RuntimeError if it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-W", "ignore", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)  # Of this child only; getrusage would include earlier children.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(arguments)} failed: {errors.read().decode(errors='replace')[-500:]}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Process(time.perf_counter() - start, usage.ru_maxrss * scale)


def run_analyze(folder: Path, mode: str = "inference") -> Process:
    return run_python("-m", "analyzer", "--model", f"hf:{folder}", "--depth", "1", "--mode", mode)


def run_transformers(folder: Path) -> Process:
    return run_python("-c", BUILD.format(folder=str(folder)))


def main() -> None:
    parse_options(__doc__)
    run_python("-c", "import torch, transformers")  # Fills the file caches.
    base = run_python("-c", "import torch")
    table = Table("process", "seconds", "peak MiB", "/ import torch", "/ transformers alone", box=None)
    table.add_row("import torch", f"{base.seconds:.1f}", f"{base.peak_bytes / 2**20:.0f}", "1.00", "")
    with tempfile.TemporaryDirectory() as parent:
        for name in CONFIGS:
            folder = write(name, Path(parent))
            base_model, counted = run_transformers(folder), run_analyze(folder)
            for title, process in (("transformers alone", base_model), ("analyze", counted)):
                table.add_row(
                    f"{name}: {title}",
                    f"{process.seconds:.1f}",
                    f"{process.peak_bytes / 2**20:.0f}",
                    f"{process.peak_bytes / base.peak_bytes:.2f}",
                    f"{counted.peak_bytes / base_model.peak_bytes:.2f}" if process is counted else "",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
