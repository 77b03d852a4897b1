"""Compares macscope's counts with other tools ("peers") on the same model, and explains every difference.

Each peer (fvcore, ptflops, …) runs in its own process and its figures are read by module and operator. Its total is
converted to MACs by the peer's documented convention, and the difference from macscope's count is attributed to causes:
a different convention, skipped operators, a wrong formula, work counted twice. A cause is accepted only if it
reproduces the peer's figure exactly; what no cause reproduces is reported as unexplained.
"""
