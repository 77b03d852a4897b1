"""The filter language: `model ~ "inception*" and batch == 8 and not (time_s > 5ms)`.

A filter becomes a tree of comparisons. Every comparison with an unknown value is false, except with `none`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Literal, NamedTuple, NoReturn, TypeAlias, get_args

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.frozen import Frozen
from analyzer.database.columns import BY_NAME, NAMES, Column

Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">=", "~", "!~", "in"]
Value: TypeAlias = str | int | float | bool | None

MAX_LENGTH = 10_000
MAX_DEPTH = 50
MAX_COMPARISONS = 200  # SQLite limits the depth of an expression.
MAX_NUMBER = 10**38
EXAMPLE = 'such as model ~ "inception*" and batch == 8 and device == "cuda"'
FACTORS = {
    "": Decimal(1), "k": Decimal(1000), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "ns": Decimal("1e-9"),
}  # fmt: skip
EXACT = Context(prec=100)  # The default rounds to 28 digits.
WORDS = {"true": True, "false": False, "none": None}
TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)(?P<unit>[A-Za-zµ]*)
    |(?P<name>[^\W\d][\w.]*)
    |(?P<sign>==|!=|<=|>=|!~|<|>|~|=|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)


class Comparison(Frozen):
    """A column with a value; with the operator `in`, with each of several."""

    column: Column
    operator: Operator
    values: tuple[Value, ...]


class Not(Frozen):
    part: Expression


class And(Frozen):
    parts: tuple[Expression, ...]


class Or(Frozen):
    parts: tuple[Expression, ...]


Expression: TypeAlias = Comparison | Not | And | Or


class Token(NamedTuple):
    kind: str
    text: str
    value: Value
    position: int


def parse(text: str) -> Expression:
    """The tree of a filter. Raises AnalyzerError, which points at the place, for any other text."""
    if len(text) > MAX_LENGTH:
        raise AnalyzerError(f"the filter has {len(text):,} characters; at most {MAX_LENGTH:,} are allowed")
    return _Parser(text).parse()


class _Parser:
    """Recursive descent: or > and > not > comparison."""

    def __init__(self, text: str) -> None:
        self.text, self.index, self.depth, self.comparisons = text, 0, 0, 0
        self.tokens = list(self._tokens())

    def parse(self) -> Expression:
        if self.tokens[0].kind == "end":
            raise AnalyzerError(f"the filter is empty; write one {EXAMPLE}")
        expression = self._alternatives()
        if self._next.kind != "end":
            self._refuse("wanted `and`, `or` or the end")
        return expression

    def _tokens(self) -> Iterator[Token]:
        position = 0
        while match := TOKEN.match(self.text, position):
            yield self._token(match)
            position = match.end()
        if rest := self.text[position:].strip():
            hint = "; a quote is not closed" if rest[0] in "\"'" else ""
            at = self.text.index(rest, position)
            raise self._error(at, f"{quoted(rest[:20])} is no part of a filter{hint}")
        yield Token("end", "the end", None, len(self.text))

    def _token(self, match: re.Match[str]) -> Token:
        kind = str(match.lastgroup if match.lastgroup != "unit" else "number")
        position, text = match.start(kind), match[kind]
        if kind == "text":
            return Token(kind, text, re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL), position)
        if kind == "number":
            return Token(kind, text + match["unit"], self._number(match), position)
        if kind == "name" and text.lower() in ("and", "or", "not", "in"):
            return Token(text.lower(), text, None, position)
        if kind == "name" and text.lower() in WORDS:
            return Token("word", text, WORDS[text.lower()], position)
        return Token(kind, text, None, position)

    def _number(self, match: re.Match[str]) -> int | float:
        """Exact as long as it is whole."""
        unit = match["unit"]
        if unit not in FACTORS:
            known = ", ".join(filter(None, FACTORS))
            raise self._error(match.start("number"), f"no unit {quoted(unit)[:40]}; known: {known}")
        value = EXACT.multiply(Decimal(match["number"]), FACTORS[unit])
        if abs(value) > MAX_NUMBER:
            raise self._error(match.start("number"), f"{match['number'][:40]} is too large")
        return int(value) if value == value.to_integral_value() else float(value)

    def _alternatives(self) -> Expression:
        parts = [self._conjunction()]
        while self._skip("or"):
            parts.append(self._conjunction())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self._skip("and"):
            parts.append(self._negation())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _negation(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(self._next.position, f"more than {MAX_DEPTH} levels of parentheses or `not`")
        try:
            if self._skip("not"):
                return Not(self._negation())
            if self._skip("("):
                inner = self._alternatives()
                if not self._skip(")"):
                    self._refuse("a parenthesis is not closed; wanted `)`")
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Expression:
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise self._error(self._next.position, f"more than {MAX_COMPARISONS} comparisons; write `in [...]`")
        column = self._column()
        sign = self._next
        if sign.kind == "not" or sign.text not in get_args(Operator):
            if column.kind == "boolean":
                return Comparison(column, "==", (True,))
            hint = "; equality is `==`" if sign.text == "=" else ""
            self._refuse(f"after {column.name}, wanted one of {' '.join(get_args(Operator))}{hint}")
        self.index += 1
        operator: Operator = sign.text.lower()  # type: ignore[assignment]
        if operator == "in":
            return Comparison(column, operator, self._list(column))
        if operator in ("~", "!~") and column.kind != "text":
            raise self._error(sign.position, f"`{operator}` compares a text with a pattern; {column.name} is no text")
        value = self._value(column)
        if operator not in ("==", "!=") and (value is None or column.kind == "boolean"):
            word = str(value).lower()
            raise self._error(sign.position, f"`{operator}` has no meaning for {word}; write == or !=")
        return Comparison(column, operator, (value,))

    def _column(self) -> Column:
        token = self._next
        if token.kind != "name":
            self._refuse("wanted a column")
        if token.text not in BY_NAME and "." in token.text:
            example = f'overrides ~ "*{token.text}=*"'
            raise self._error(
                token.position, f"no column {quoted(token.text)[:60]}; changed numbers are {example}"[:300]
            )
        if token.text not in BY_NAME:
            raise self._error(token.position, f"no column {quoted(token.text)[:60]}; {nearest(token.text, NAMES)}")
        self.index += 1
        return BY_NAME[token.text]

    def _list(self, column: Column) -> tuple[Value, ...]:
        close = ")" if self._skip("(") else "]" if self._skip("[") else ""
        if not close:
            self._refuse("after `in`, wanted a list such as [1, 8]")
        values = [self._value(column)]
        while self._skip(","):
            values.append(self._value(column))
        if not self._skip(close):
            self._refuse(f"the list is not closed; wanted `,` or `{close}`")
        return tuple(values)

    def _value(self, column: Column) -> Value:
        """A value of the column's kind."""
        token = self._next
        kinds = {"text": ("text",), "boolean": ("word",)}.get(column.kind, ("number", "word"))
        fits = token.kind in kinds and not (column.kind != "boolean" and isinstance(token.value, bool))
        if not fits or (column.kind == "boolean" and token.value is None):
            wanted = {"text": "a text in quotes", "boolean": "true or false"}.get(column.kind, "a number or none")
            self._refuse(f"{column.name} is compared with {wanted}")
        self.index += 1
        return token.value

    @property
    def _next(self) -> Token:
        return self.tokens[self.index]

    def _skip(self, text: str) -> bool:
        """Whether this word or sign comes next; it is then consumed."""
        is_next = self._next.kind == text or (self._next.kind == "sign" and self._next.text == text)
        self.index += is_next
        return is_next

    def _refuse(self, wanted: str) -> NoReturn:
        token = self._next
        came = token.text if token.kind == "end" else quoted(token.text)[:60]
        raise self._error(token.position, f"{came} came; {wanted}")

    def _error(self, position: int, reason: str) -> AnalyzerError:
        return AnalyzerError(f"filter, character {position + 1}: {reason}")
