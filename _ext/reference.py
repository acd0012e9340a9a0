"""The library's reference: signatures as in the source, records with their fields, laws with their formula, links."""

import ast
import dataclasses
import enum
import inspect
import re
import sys
import textwrap
from contextlib import suppress
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.util.nodes import make_refnode

SECTIONS = Config(napoleon_use_param=False, napoleon_use_rtype=False)
MARKUP = re.compile(r"(?ms)(``.*?``|`[^`]*`|^ *>>> .*?(?=^\s*$|\Z))")
BLOCKS = {"l": "span", "d": "i"}
NO_COMMENT = "\\ "  # an entry of a list must not be empty


@cache
def examples() -> dict[str, str]:
    """Examples that stand in api/examples, by the full name of what they show."""
    found: dict[str, list[str]] = {}
    for path in sorted((Path(__file__).parents[1] / "api" / "examples").glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and line[0] != " ":
                lines = found.setdefault(line, [])
            else:
                lines.append(line[4:])
    return {name: "\n".join(lines).strip("\n") for name, lines in found.items()}


@cache
def names(module: str) -> dict[str, str | ast.expr]:
    """What each name at the top of a module stands for: a full name, or an alias's expression."""
    found: dict[str, str | ast.expr] = {}
    for node in ast.walk(ast.parse(inspect.getsource(import_module(module)))):
        match node:
            case ast.Import():
                found |= {each.asname or each.name: each.name for each in node.names}
            case ast.ImportFrom():
                found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
            case ast.ClassDef():
                found[node.name] = f"{module}.{node.name}"
            case ast.Assign(targets=[ast.Name(name)], value=ast.BinOp() | ast.Subscript() as value):
                found.setdefault(name, value)
    return found


class FullNames(ast.NodeTransformer):
    """Writes an annotation with full names, so that each can be linked; the page shows their last part."""

    def __init__(self, module: str):
        self.module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace the name of an import, a class or an alias."""
        meant = names(self.module).get(node.id, node.id)
        if isinstance(meant, ast.expr):
            return self.visit(meant)
        module, _, name = meant.rpartition(".")
        if module.startswith("scalinglaws") and isinstance(names(module).get(name), ast.expr):
            return FullNames(module).visit(names(module)[name])
        return ast.parse(meant, mode="eval").body

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Write ``Literal`` as its words, and leave out the type of an array's numbers."""
        kind = node.value.id if isinstance(node.value, ast.Name) else ""
        if kind == "Literal":
            words = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            words = (each if isinstance(each, ast.Constant) else self.visit(each) for each in words)
            return reduce(lambda one, other: ast.BinOp(one, ast.BitOr(), other), words)
        return self.visit(node.value) if kind == "NDArray" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Read an annotation in quotes."""
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node


def source(thing: Any) -> ast.FunctionDef | ast.ClassDef:
    """Syntax of a function or a class."""
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def signature(app: Sphinx, what: str, name: str, thing: Any, *_: Any) -> tuple[str, str] | None:
    """Write a signature as the source does, types by name. That of a record is left out: its fields are listed."""
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) or issubclass(thing, enum.Enum | Exception) or "__init__" not in vars(thing):
            return "", ""
        thing = thing.__init__
    thing = inspect.unwrap(getattr(thing, "__func__", thing))
    if not inspect.isfunction(thing):
        return None
    function, full = source(thing), FullNames(thing.__module__)
    given = function.args
    if what != "function" and not any(ast.unparse(each) == "staticmethod" for each in function.decorator_list):
        given.args = given.args[1:]
    for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if each is not None and each.annotation is not None:
            each.annotation = full.visit(each.annotation)
    return f"({ast.unparse(given)})", ast.unparse(full.visit(function.returns)) if function.returns else ""


def plain(text: str) -> str:
    """Escape what docstrings do not mean as markup: the bars of |G|, the stars of a/**/b; not in code and formulas."""
    parts = MARKUP.split(text)
    return "".join(part if k % 2 else re.sub(r"\||(?<=/)\*+", r"\\\g<0>", part) for k, part in enumerate(parts))


def docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Read numpydoc's sections, and add the fields of a record with their comments, and the formula of a law."""
    defined = inspect.unwrap(getattr(thing, "__func__", thing))  # a name may be listed elsewhere, as in lab.corpus
    own = f"{getattr(defined, '__module__', '')}.{getattr(defined, '__qualname__', '')}"
    if own in examples():
        lines += ["", *examples()[own].splitlines(), ""]
    first = next((k for k, line in enumerate(lines) if line.startswith(">>> ") and not lines[k - 1]), 0)
    if "Examples" not in lines and any(line.startswith("---") for line in lines[:first]):
        lines[first:first] = ["Examples", "--------"]  # or it would belong to the section above
    lines[:] = NumpyDocstring(plain("\n".join(lines)), SECTIONS).lines()
    if what == "data" and hasattr(thing, "latex"):
        lines[:] = [] if hasattr(thing, "terms") else lines  # a sum of powers has only the docstring of its class
        lines += ["", f".. math:: {thing.latex.replace(chr(92) + 'quad', 2 * chr(92))}", ""]  # a line for each equation
        letters, fitted = (", ".join(f"``{each}``" for each in names) for names in (thing.variables, thing.parameters))
        lines += [f"Variables {letters}; parameters {fitted}. {thing.source}."]
    elif what == "module":
        lines.insert(0, f"Module ``{name}``.")
    elif inspect.isclass(thing) and dataclasses.is_dataclass(thing):
        rows, full = textwrap.dedent(inspect.getsource(thing)).splitlines(), FullNames(thing.__module__)
        fields = [node for node in source(thing).body if isinstance(node, ast.AnnAssign)]
        lines += ["", ".. rubric:: Fields", ""] if fields else []
        for node in fields:
            comment = rows[node.end_lineno - 1][node.end_col_offset :].partition("# ")[2]
            node.annotation = ast.Name(re.sub(r"[\w.]+\.(?=\w)", "", ast.unparse(full.visit(node.annotation))))
            lines += [f"``{ast.unparse(node)}``", f"   {plain(comment) or NO_COMMENT}"]


@cache
def paths() -> dict[str, str]:
    """Where the functions of the face come from: their path in the source -> their name here."""
    library = import_module("scalinglaws")  # not above: a book without a reference needs no library
    face = {name: getattr(library, name) for name in library.__all__}
    return {f"{each.__module__}.{name}": f"scalinglaws.{name}" for name, each in face.items() if callable(each)}


def is_known(name: str) -> bool:
    """Whether a name in backticks needs no link: one word, a file, or in the library and not on the pages."""
    if name.isidentifier() or "/" in name or name.endswith(".py"):
        return True
    first, *rest = name.split(".")
    for module in [each for path, each in sys.modules.items() if f".{path}".endswith(f".{first}")]:
        with suppress(AttributeError):
            reduce(getattr, rest, module)
            return True
    return False


def link(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Node | None:
    """Find what a docstring calls by the end of its name, such as `Fit.checked`; a plain word it leaves as code."""
    target, documented = node.get("reftarget", ""), env.get_domain("py").objects
    if node.get("refdomain") != "py":
        return None
    known = dict.fromkeys(documented) | paths()
    wanted = [target]
    if target.startswith("scalinglaws."):  # as imported from a package that has it from one of its modules
        wanted.append(target.rpartition(".")[2])
    for name in wanted:
        found = {full or path for path, full in known.items() if f".{path}".endswith(f".{name}")}
        if len(found) == 1:
            entry = documented[found.pop()]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content)
    if node["reftype"] == "obj":
        return nodes.literal(text=target) if is_known(target) else None
    own = target.isidentifier() or target.startswith("scalinglaws.")  # a type variable, or a type that is not listed
    return content if own else None


def plain_signatures(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write a signature of several lines without Sphinx's list of descriptions that describe nothing."""
    if page.startswith("api/"):
        context["body"] = re.sub(
            r'(?s)<dt class="sig .*?</dt>',
            lambda sig: re.sub(r"<(/?)d([ld])>", lambda tag: f"<{tag[1]}{BLOCKS[tag[2]]}>", sig[0]),
            context["body"],
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect them to Sphinx."""
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("missing-reference", link)
    app.connect("html-page-context", plain_signatures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
