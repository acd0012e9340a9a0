"""Rows by a condition such as "status == 'finished' and lr < 1e-2": comparisons, and nothing that could run code."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from scalinglaws.tables.numbers import is_missing
from scalinglaws.tables.sheet import Sheet, names, shown

_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = MappingProxyType({
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
})  # fmt: skip
_ARITHMETIC: Mapping[type, Callable[[Any, Any], Any]] = MappingProxyType({
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
})  # fmt: skip
ALLOWED = (
    "columns, numbers, quoted words, == != < <= > >=, in [...], and, or, not, + - * /; `a name` with spaces or slashes"
)
LONGEST = 2000  # letters of a condition: Python's own parser is recursive


def rows_where(sheet: Sheet, condition: str) -> np.ndarray:
    """Whether each row [n] meets a condition.

    A column stands by its name, in backticks where that is no plain word. Words are compared as they stand in the
    cells; a missing cell meets no comparison but !=.
    """
    quoted: dict[str, str] = {}

    def name_of(match: re.Match) -> str:
        return quoted.setdefault(match[1], f"_column_{len(quoted)}_")

    plain = re.sub(r"`([^`]+)`", name_of, condition)
    plain = re.sub(r"(?<![=&])&(?!&)", " and ", plain).replace("&&", " and ").replace("||", " or ").replace("|", " or ")
    try:
        if len(condition) > LONGEST:
            raise SyntaxError("it is too long")
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"--where {shown(condition)} cannot be read ({getattr(error, 'msg', error)}): it takes {ALLOWED}"
        ) from error
    columns = {place: name for name, place in quoted.items()}
    with np.errstate(all="ignore"):
        found = _Condition(sheet, condition, columns).truth(tree)
    return np.broadcast_to(np.asarray(found, bool), len(sheet)).copy()


class _Condition:
    """The value of each part of a condition."""

    def __init__(self, sheet: Sheet, text: str, columns: Mapping[str, str]):
        self.sheet, self.text, self.columns = sheet, text, columns

    def truth(self, node: ast.expr) -> Any:
        """Whether a part holds, for each row."""
        match node:
            case ast.BoolOp(op=op, values=parts):
                whole = [self.truth(part) for part in parts]
                return np.logical_and.reduce(whole) if isinstance(op, ast.And) else np.logical_or.reduce(whole)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
                return np.logical_not(self.truth(part))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                sides = [left, *rights]
                return np.logical_and.reduce([self.compared(*each) for each in zip(sides, ops, rights, strict=False)])
            case ast.Name():  # a column of true and false
                return np.array(
                    [cell.casefold() in ("true", "yes", "1", "1.0") for cell in self.words(self.name(node))]
                )
            case ast.Constant(value=bool(value)):
                return value
        raise self.refused(node)

    def compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Any:
        """One comparison: of words where a side is words, else of numbers."""
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self.refused(right)
            one_of = np.logical_or.reduce([self.compared(left, ast.Eq(), each) for each in right.elts] or [False])
            return one_of if isinstance(op, ast.In) else np.logical_not(one_of)
        if type(op) not in _COMPARE:
            raise self.refused(left)
        for one, other in ((left, right), (right, left)):
            if isinstance(other, ast.Constant) and isinstance(other.value, str | bool):
                word = str(other.value) if isinstance(other.value, str) else str(other.value).casefold()
                if not isinstance(one, ast.Name) or not isinstance(op, ast.Eq | ast.NotEq):
                    raise self.refused(one)
                cells = self.words(self.name(one))
                cells = cells if isinstance(other.value, str) else [cell.casefold() for cell in cells]
                equal = np.array([cell == word.strip() for cell in cells], bool)
                return equal if isinstance(op, ast.Eq) else ~equal
        return _COMPARE[type(op)](self.number(left), self.number(right))

    def number(self, node: ast.expr) -> Any:
        """A number, or the numbers of a column."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return float(value) if abs(value) < 1e300 else math.inf
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return -self.number(part)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](np.asarray(self.number(left), float), self.number(right))
            case ast.Name():
                name = self.name(node)
                values = self.sheet.numbers(name)
                if np.isnan(values).all() and not all(map(is_missing, self.sheet.cells(name))):
                    raise ValueError(
                        f"--where {shown(self.text)}: column {shown(name)} holds words; compare it with a quoted word"
                    )
                return values
        raise self.refused(node)

    def words(self, name: str) -> list[str]:
        """The cells of a column as words."""
        return self.sheet.text(name)

    def name(self, node: ast.Name) -> str:
        """The column that is meant, whatever its case."""
        wanted = self.columns.get(node.id, node.id)
        header = self.sheet.header
        found = [name for name in header if name == wanted] or [n for n in header if n.casefold() == wanted.casefold()]
        if len(found) != 1:
            raise ValueError(f"--where {shown(self.text)}: no column {wanted!r}; there are: {names(header)}")
        return found[0]

    def refused(self, node: ast.AST) -> ValueError:
        """The error for what a condition may not hold."""
        part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
        return ValueError(f"--where {shown(self.text)}: {part[:40]!r} is not understood here; it takes {ALLOWED}")
