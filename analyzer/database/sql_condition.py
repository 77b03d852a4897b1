"""A filter as a condition of SQL. Every value is a parameter, and no condition is NULL."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Any

import sqlalchemy as sql

from analyzer.database.columns import Kind
from analyzer.database.filter_language import And, Comparison, Expression, Not, Or, Value, parse
from analyzer.database.schema import results

COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
           ">=": operator.ge}  # fmt: skip


def condition(where: str | None, dialect: str) -> sql.ColumnElement[bool]:
    """The condition of a filter; of none, that is always true. Raises AnalyzerError for a filter with an error."""
    return sql.true() if where is None else _condition(parse(where), dialect)


def _condition(expression: Expression, dialect: str) -> sql.ColumnElement[bool]:
    match expression:
        case Not():
            return sql.not_(_condition(expression.part, dialect))
        case And():
            return sql.and_(*(_condition(part, dialect) for part in expression.parts))
        case Or():
            return sql.or_(*(_condition(part, dialect) for part in expression.parts))
        case _:
            return _comparison(expression, dialect)


def _comparison(comparison: Comparison, dialect: str) -> sql.ColumnElement[bool]:
    column, sign, kind = results.c[comparison.column.name], comparison.operator, comparison.column.kind
    known = [value for value in comparison.values if value is not None]
    if sign == "in":
        among = column.in_([_parameter(value, kind, dialect) for value in known])
        return sql.or_(
            _if_known(column, kind, among), *([column.is_(None)] if len(known) < len(comparison.values) else [])
        )
    (value,) = comparison.values
    if value is None or isinstance(value, bool):
        return column.is_(value) if sign == "==" else column.is_not(value)
    if sign in ("~", "!~"):
        matches = _matches(column, str(value), dialect)
        return matches if sign == "~" else sql.not_(matches)
    return _if_known(column, kind, COMPARE[sign](column, _parameter(value, kind, dialect)))


def _if_known(column: sql.ColumnElement[Any], kind: Kind, compared: Any) -> sql.ColumnElement[bool]:
    """False where the column is NULL, of which `not` would make NULL again."""
    return compared if kind in ("text", "boolean") else sql.and_(column.is_not(None), compared)


def _parameter(value: Value, kind: Kind, dialect: str) -> Any:
    """A fraction stays one beside whole numbers, which PostgreSQL would round or convert to an inexact type."""
    if kind == "number":
        return sql.literal(float(value or 0), sql.Double())
    if kind == "integer" and isinstance(value, float):
        return (
            sql.literal(Decimal(value), sql.Numeric()) if dialect == "postgresql" else sql.literal(value, sql.Double())
        )
    return value


def _matches(column: sql.ColumnElement[str], pattern: str, dialect: str) -> sql.ColumnElement[bool]:
    """`*` is any text and `?` any character; upper and lower case differ."""
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    for sign in ("\\", "%", "_"):
        pattern = pattern.replace(sign, "\\" + sign)
    return column.like(pattern.replace("*", "%").replace("?", "_"), escape="\\")
