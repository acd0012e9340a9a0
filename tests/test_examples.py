"""The reference in api/: it covers the library, its examples run, and nothing on it lacks one."""

import doctest
import enum
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from reference import docstring, examples

import scalinglaws

ROOT = Path(__file__).parents[1]
MODULES = ["scalinglaws", *(module.name for module in pkgutil.walk_packages(scalinglaws.__path__, "scalinglaws."))]
MODULES = [name for name in MODULES if name.split(".")[1:2] not in (["cli"], ["data"])]  # commands; a folder of files
DIRECTIVE = re.compile(r"^\.\. auto(module|function|data):: (\S+)\n((?: +:.*\n)*)", re.MULTILINE)

STAGES = (
    "choice",
    "columns",
    "counts",
    "folders",
    "formats",
    "numbers",
    "points",
    "readings",
    "sheet",
    "text",
    "units",
    "vocabulary",
    "where",
)
# For the library's own use.
INSIDE = {"scalinglaws.lab.locks", "scalinglaws.laws.shown", "scalinglaws.laws.valleys", "scalinglaws.version"}
INSIDE |= {f"scalinglaws.tables.{name}" for name in STAGES}


def listed():
    """Return what the pages list: the modules, and each function and class by its full name."""
    modules, found = set(), {}
    for page in sorted((ROOT / "api").glob("*.md")):
        for kind, name, options in DIRECTIVE.findall(page.read_text()):
            if kind != "module":
                module, _, attribute = name.rpartition(".")
                found[name] = getattr(import_module(module), attribute)
                continue
            modules.add(name)
            module = import_module(name)
            excluded = re.findall(r":exclude-members: (.*)", options)
            public = getattr(module, "__all__", [each for each in vars(module) if each[0] != "_"])
            for each in set(public) - set(", ".join(excluded).split(", ")):
                thing = getattr(module, each)
                if str(getattr(thing, "__module__", None)).startswith(name):
                    found[f"{name}.{each}"] = thing
    return modules, found


def module_of(name):
    """Return the module in whose names an example runs: the longest that its name begins with."""
    return max((module for module in MODULES if name.startswith(f"{module}.")), key=len)


def methods(cls):
    return [thing for name, thing in vars(cls).items() if name[0] != "_" and inspect.isroutine(thing)]


def shows(thing):
    """Whether an example stands in the docstring, or in api/examples under the name of where the thing is defined."""
    plain = inspect.unwrap(getattr(thing, "__func__", thing))
    own = f"{getattr(plain, '__module__', '')}.{getattr(plain, '__qualname__', '')}"
    return ">>> " in (inspect.getdoc(plain) or "") + examples().get(own, "")


def has_example(thing):
    """Whether a function shows its use; of a class one of its methods may. Records and errors need none."""
    if inspect.isclass(thing):
        if issubclass(thing, Exception | enum.Enum) or not methods(thing):
            return True
        return any(shows(each) for each in (thing, *methods(thing)))
    return not callable(thing) or not inspect.isroutine(inspect.unwrap(thing)) or shows(thing)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path / "cache"))
    module, finder = import_module(name), doctest.DocTestFinder()
    found = finder.find(module)
    for each in vars(module).values():  # decorated functions, which the finder takes for somebody else's
        if inspect.isroutine(each) and (plain := inspect.unwrap(each)) is not each and plain.__module__ == name:
            found += finder.find(plain, f"{name}.{plain.__name__}", module)
    own = {each: text for each, text in examples().items() if module_of(each) == name}
    read = doctest.DocTestParser().get_doctest
    found += [read(text, dict(vars(module)), each, "api/examples", 0) for each, text in own.items()]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in {test.name: test for test in found}.values():
        (tmp_path / test.name).mkdir()  # a folder for each, so that no example needs the files of another
        monkeypatch.chdir(tmp_path / test.name)
        runner.run(test)
    plt.close("all")
    assert runner.failures == 0


def test_the_reference_covers_the_library():
    packages = {"scalinglaws", "scalinglaws.book", "scalinglaws.lab", "scalinglaws.laws"}
    missing = set(MODULES) - packages - INSIDE - listed()[0]
    assert {name for name in missing if not name.startswith("scalinglaws.lab.corpus.")} == set()  # one module to users


def test_the_face_is_listed_by_its_own_names():
    face = {f"scalinglaws.{name}" for name in scalinglaws.__all__ if inspect.isroutine(getattr(scalinglaws, name))}
    assert face - set(listed()[1]) == set()


def test_whatever_the_reference_lists_has_an_example():
    things = listed()[1]
    for name in MODULES:
        if name.startswith("scalinglaws.lab.corpus."):  # one module on the page, by what it has from these
            own = {f"{name}.{each}": thing for each, thing in vars(import_module(name)).items() if each[0] != "_"}
            things |= {each: thing for each, thing in own.items() if getattr(thing, "__module__", None) == name}
    assert sorted(name for name, thing in things.items() if not has_example(thing)) == []


def test_examples_show_what_there_is():
    for name in examples():
        module = module_of(name)
        thing = import_module(module)
        for part in name.removeprefix(f"{module}.").split("."):
            thing = getattr(thing, part)
        assert not (inspect.isroutine(thing) and ">>> " in (thing.__doc__ or "")), f"{name} has two examples"


def test_an_example_is_on_the_page_under_any_name_of_its_function():
    lines, name = [], "scalinglaws.lab.corpus.markov"  # defined a module further down
    docstring(None, "function", name, listed()[1][name], None, lines)
    assert any(">>> corpus = markov(" in line for line in lines)
