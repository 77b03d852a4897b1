"""Language models in their users' terms: prefill, decode, active parameters, KV cache, FLOPs. Imports no torch."""
