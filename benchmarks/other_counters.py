"""Other MAC counters, each called as in its readme: PEERS maps a name to `count(model, inputs) -> int`."""

from __future__ import annotations

import importlib.util
from typing import Any


def flop_counter_mode(model: Any, inputs: Any) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(inputs)
    return int(counter.get_total_flops()) // 2  # FlopCounterMode counts a MAC as 2.


def fvcore(model: Any, inputs: Any) -> int:
    from fvcore.nn import FlopCountAnalysis

    return int(FlopCountAnalysis(model, inputs).unsupported_ops_warnings(False).total())


def ptflops(model: Any, inputs: Any) -> int:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(model, tuple(inputs.shape[1:]), as_strings=False, print_per_layer_stat=False)
    return int(macs)


def thop(model: Any, inputs: Any) -> int:
    from thop import profile

    macs, _ = profile(model, inputs=(inputs,), verbose=False)
    return int(macs)


def torchinfo(model: Any, inputs: Any) -> int:
    from torchinfo import summary

    return int(summary(model, input_data=inputs, verbose=0).total_mult_adds)


def calflops(model: Any, inputs: Any) -> int:
    from calflops import calculate_flops

    _, macs, _ = calculate_flops(model, input_shape=tuple(inputs.shape), print_results=False, output_as_string=False)
    return int(macs)


PEERS = {
    "FlopCounterMode": flop_counter_mode,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "thop": thop,
    "torchinfo": torchinfo,
    "calflops": calflops,
}


def installed(name: str) -> bool:
    """FlopCounterMode is part of torch; the others are packages of the same name, from the extra `peers`."""
    return name == "FlopCounterMode" or importlib.util.find_spec(name) is not None
