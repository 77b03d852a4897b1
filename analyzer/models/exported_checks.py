"""Checks of a torch.export archive (.pt2) before torch reads it, since reading it can run code.

torch passes size expressions to sympy's `sympify`, which evaluates them; turns names into source code; imports the
modules that a pytree spec names; looks up a node's operator as an attribute of torch, where `torch.os.system` is one;
and loads compiled code. Each of these is limited here to what `torch.export.save` writes.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line

NATIVE_CODE = {".so", ".dll", ".dylib", ".pyd", ".cpp", ".o", ".a", ".cubin", ".ptx", ".hsaco"}
MAX_EXPRESSION = 10_000  # Characters; the parser's time and stack grow with them.
IDENTIFIER = re.compile(r"[A-Za-z_]\w*|")
QUALIFIED_NAME = re.compile(r"[^\"'\\\n\r]*")
NUMBER = re.compile(r"[-+.\w]*")
# An operator by namespace, name and overload, a function on symbolic sizes, or a function that traces vmap and grad.
TARGET = re.compile(
    r"torch\.ops\.(?!_)\w+\.\w+(\.\w+)?|_operator\.[a-z]\w*|math\.[a-z]\w*|torch\.sym_\w+"
    r"|torch\._sym_sqrt|torch\._functorch\.predispatch\.\w+|#\w+:[\w.]+|\w+"
)
PRIVATE_NAMESPACES = re.compile(r"torch\.ops\._(c10d_functional|quantized|inductor_test|dtensor)\.\w+(\.\w+)?")
# These write or map files, import a class by its name, load a library or look attributes up.
REFUSED = re.compile(
    r"torch\.ops\.(aten\.(from_file|save)\b|export\.|load_library|import_module)|_operator\.(attrgetter|methodcaller|call)"
    r"|.*\.__\w*(class|dict|func|self|globals|call|init|getattr|reduce)\w*"
)
SYMPY = frozenset(
    "Symbol Dummy Integer Float Rational Add Mul Pow Max Min Mod Abs Eq Ne Lt Le Gt Ge And Or Not Equality Unequality "
    "LessThan StrictLessThan GreaterThan StrictGreaterThan Piecewise ExprCondPair ITE floor ceiling sqrt log exp "
    "FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv IntTrueDiv FloatTrueDiv LShift "
    "RShift BitwiseFn_bitwise_and BitwiseFn_bitwise_or BitwiseFn_bitwise_xor PowByNatural FloatPow TruncToInt "
    "TruncToFloat RoundToInt RoundDecimal ToFloat Identity IsNonOverlappingAndDenseIndicator OpaqueUnaryFn_sqrt "
    "OpaqueUnaryFn_cos OpaqueUnaryFn_cosh OpaqueUnaryFn_sin OpaqueUnaryFn_sinh OpaqueUnaryFn_tan OpaqueUnaryFn_tanh "
    "OpaqueUnaryFn_asin OpaqueUnaryFn_acos OpaqueUnaryFn_atan OpaqueUnaryFn_exp OpaqueUnaryFn_log OpaqueUnaryFn_log2 "
    "OpaqueUnaryFn_asinh".split()
)
POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift"})
SYNTAX = (
    *(ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.keyword, ast.Tuple),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def read_programs(path: Path) -> list[dict[str, Any]]:
    """The programs of an archive as JSON; empty if the file is not an archive.

    Raises AnalyzerError for an archive with native code or with a program that could run code while it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            native = [name for name in names if PurePosixPath(name).suffix.lower() in NATIVE_CODE]
            if native:
                raise _refusal(path, f"native code ({native[0]})")
            texts = [archive.read(name) for name in names if name.endswith(".json")]
    except (OSError, zipfile.BadZipFile):
        return []
    programs = []
    for text in texts:
        try:
            program = json.loads(text)
        except (ValueError, RecursionError):
            continue  # torch's own error has more details.
        if isinstance(program, dict) and "graph_module" in program:
            programs.append(program)
    for program in programs:
        for reason in _violations(program, path):
            raise _refusal(path, reason)
    return programs


def _refusal(path: Path, reason: str) -> AnalyzerError:
    return AnalyzerError(
        f"{one_line(path)} holds {one_line(reason)[:200]}, which could run code when it is loaded; "
        "save the model again with torch.export.save, or count it as FILE.py:NAME"
    )


def _violations(value: Any, path: Path) -> Iterator[str]:
    """What torch must not read, found in every dictionary of a program, however deep."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += part.values()
            for key, text in part.items():
                if isinstance(text, str) and (violation := _violation(key, text, is_node="inputs" in part)):
                    yield violation


def _violation(key: str, text: str, is_node: bool) -> str:
    if key in ("in_spec", "out_spec"):
        return _spec_violation(text)
    if key == "expr_str":
        return "" if is_safe_expression(text) else f"the size expression {text!r}"
    if key == "as_operator" or (key == "target" and is_node):
        return "" if is_safe_target(text) else f"the operator {text!r}"
    if key in ("name", "as_name"):
        return "" if IDENTIFIER.fullmatch(text) else f"the name {text!r}"
    if key == "fqn" or key == "target" or key.endswith("_name"):
        return "" if QUALIFIED_NAME.fullmatch(text) else f"the name {text!r}"
    return ""


def is_safe_target(text: str) -> bool:
    """True for an operator, or a function on symbolic sizes, and not any other attribute of torch."""
    return bool(TARGET.fullmatch(text) or PRIVATE_NAMESPACES.fullmatch(text)) and not REFUSED.match(text)


def is_safe_expression(text: str) -> bool:
    """True for arithmetic on numbers and symbols with sympy's and torch's functions of sizes, and nothing else."""
    if len(text) > MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_safe_node(node) for node in ast.walk(tree))


def _is_safe_node(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(op=ast.Pow(), left=left, right=right) if not _is_small_power(left, right):
            return False
        case ast.Call(func=ast.Name(id=name), args=args) if name in POWERS and not _is_small_power(*args):
            return False
        case ast.Call(func=ast.Name(id=name)):
            return name in SYMPY
        case ast.Name(id=name):
            return not name.startswith("__")
        case ast.Constant(value=value):
            # sympify parses a string argument again: a symbol's name, or the digits of a number.
            return bool(NUMBER.fullmatch(value)) if isinstance(value, str) else isinstance(value, int | float)
        case _:
            return isinstance(node, SYNTAX)


def _is_small_power(*arguments: ast.AST) -> bool:
    """False for a power within a power or one above 64: sympy would compute it and take all memory."""
    parts = [part for argument in arguments for part in ast.walk(argument)]
    calls = [part.func.id for part in parts if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
    numbers = [part.value for part in ast.walk(arguments[-1]) if isinstance(part, ast.Constant)] if arguments else []
    nested = POWERS.intersection(calls) or any(isinstance(part, ast.Pow) for part in parts)
    return not nested and all(isinstance(number, bool | int) and abs(number) <= 64 for number in numbers)


def _spec_violation(text: str) -> str:
    """A pytree spec names modules of enumerations and of default factories, which torch would import."""
    try:
        pending = [json.loads(text)] if text else []
    except ValueError:
        return f"the pytree spec {text!r}"
    while pending:
        part = pending.pop()
        if isinstance(part, str) and part.startswith(("{", "[")):
            try:
                part = json.loads(part)  # A context is JSON within JSON.
            except ValueError:
                continue
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += part.values()
            if "default_factory_module" in part and part["default_factory_module"] != "builtins":
                return f"the default factory {part.get('default_factory_module')}.{part.get('default_factory_name')}"
            if "__enum__" in part and str(part.get("fqn")).partition(":")[0] not in sys.modules:
                return f"an enumeration of the module {str(part.get('fqn')).partition(':')[0]}, which is not imported"
    return ""
