"""The repository around the library: what is tracked, the commands, and the build of the book."""

import ast
import csv
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from execution import INPUTS, digest
from making import OURS, make
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import scalinglaws

ROOT = Path(__file__).parents[1]


def run(*command, cwd=ROOT, check=True):
    """Return the finished process, its output as text."""
    return subprocess.run(command, cwd=cwd, check=check, capture_output=True, text=True)


def tracked_files():
    """Return what git tracks or would add; all later checks of content look at these."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# ---- What is tracked ----


@pytest.mark.parametrize("path", ["lib/scalinglaws/new.py", "data/runs/new.csv", "assets/new.js", "chapters/new.ipynb"])
def test_git_does_not_hide_sources(path):
    assert run("git", "check-ignore", "--no-index", path, check=False).returncode == 1


@pytest.mark.parametrize("path", [".venv/x", "_build/html/x", "lib/scalinglaws/__pycache__/x", "lib/x.egg-info/x"])
def test_git_hides_what_is_generated(path):
    assert run("git", "check-ignore", "--no-index", path, check=False).returncode == 0


TEXT = {".py", ".md", ".ipynb", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".css", ".bib", ".csv", ".mplstyle", ""}
# Character classes keep the patterns from matching themselves.
FORBIDDEN = {
    "a path of one machine": re.compile(r"""(^|[\s'"(=`])/(root|home|work|farm|Users)[/]"""),
    "the host of a package registry": re.compile(
        r"py[p]i\.org|python[h]osted\.org|registry\.[n]pmjs|download\.[p]ytorch|--(extra-)?index[-]url|--find[-]links"
    ),
}


def test_no_file_names_a_machine_or_a_registry():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in tracked_files()
        if path.suffix in TEXT and "assets/mathjax" not in path.as_posix()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)  # a case is in UTF-16
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert found == []


def requirement_lines(name):
    lines = (line.split(" #")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_requirements_are_pinned_and_end_with_the_library():
    first, *pins, last = requirement_lines("requirements.txt")
    assert first == "-c constraints.txt"
    assert last == "-e ."
    pinned = re.compile(r"[\w.-]+==[\w.]+")
    assert [line for line in pins if not pinned.fullmatch(line)] == []
    constraints = requirement_lines("constraints.txt")
    assert [line for line in constraints if not pinned.fullmatch(line)] == []
    assert {line.lower() for line in pins} <= {line.lower() for line in constraints}


# ---- The commands ----


def workflow(path):
    return yaml.safe_load((ROOT / path).read_text())


def commands(steps):
    return [step["run"] for step in steps if "run" in step]


def triggers(flow):
    return set(flow[True])  # YAML 1.1 takes "on" for true


def jobs(path):
    return workflow(f".github/workflows/{path}")["jobs"].values()


def test_everything_is_tested_on_push_and_from_nothing_every_week():
    assert re.search(r"^make test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    on_push = workflow(".github/workflows/ci.yml")
    assert {"push", "pull_request"} <= triggers(on_push)
    assert {"make test", "make book"} <= set(on_push["jobs"]["check"]["strategy"]["matrix"]["command"])
    weekly = workflow(".github/workflows/weekly.yml")
    assert "schedule" in triggers(weekly)
    steps = [step for job in weekly["jobs"].values() for step in job["steps"]]
    assert {"make cold", "make test"} <= set(commands(steps))
    assert not any("cache" in str(step) for step in steps)


def test_three_systems_run_what_make_check_runs():
    flow = workflow(".github/workflows/systems.yml")
    assert {"push", "schedule"} <= triggers(flow)
    (job,) = flow["jobs"].values()
    assert {name.split("-")[0] for name in job["strategy"]["matrix"]["os"]} == {"ubuntu", "macos", "windows"}
    with_make = [step["run"] for step in job["steps"] if step.get("if") == "runner.os != 'Windows'"]
    assert with_make == ["make check"]
    plan = make("--dry-run", "check", "STAMP=", folder=ROOT).stdout
    wanted = [line.replace(".venv/bin/", ".venv/Scripts/") for line in plan.splitlines() if ".venv/bin/" in line]
    assert len(wanted) >= 6
    (without,) = [step["run"] for step in job["steps"] if step.get("if") == "runner.os == 'Windows'"]
    assert [line for line in wanted if line not in without.splitlines()] == []


def test_the_readme_is_short_and_leads_to_every_guide():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 120
    assert "\nmake book\n" in readme
    linked = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert [name for name in linked if not (ROOT / name).is_file()] == []
    assert [f"{page}.md" for page in guides() if f"{page}.md" not in linked] == []


def guides():
    """The pages of the book's part with that name."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    (found,) = [part["chapters"] for part in parts if part["caption"] == "Guides"]
    return [page["file"] for page in found]


def test_a_guide_names_the_commands_and_what_they_are_without_make():
    page = (ROOT / "guides/install.md").read_text(encoding="utf-8")
    assert [goal for goal in ("check", "book", "test") if f"\nmake {goal}\n" not in page] == []
    quick = re.search(r'-m "([^"]+)"', make("--dry-run", "check", "STAMP=", folder=ROOT).stdout)[1]
    assert f'-m "{quick}"' in page
    shown = re.findall(r"`make (\w+)[^`]*`", page)
    known = make("help", folder=ROOT).stdout
    assert [goal for goal in shown if f"make {goal} " not in known] == []


def executed_guides():
    """Those with a kernel; the page on installing is what the other workflows do."""
    return [page for page in guides() if "\nkernelspec:\n" in (ROOT / f"{page}.md").read_text(encoding="utf-8")]


def test_each_guide_has_a_job_of_its_own():
    assert set(guides()) - set(executed_guides()) == {"guides/install"}
    (job,) = jobs("guides.yml")
    assert {"push", "pull_request"} <= triggers(workflow(".github/workflows/guides.yml"))
    assert job["strategy"]["matrix"]["page"] == [f"{page}.md" for page in executed_guides()]
    assert commands(job["steps"]) == ["make guide PAGE=${{ matrix.page }}"]
    assert not any("_build" in str(step) for step in job["steps"])


def test_pages_are_published_from_main_one_at_a_time():
    publish = workflow(".github/workflows/publish.yml")
    assert publish[True]["push"]["branches"] == ["main"]
    assert publish["concurrency"]["cancel-in-progress"] is False
    build, deploy = publish["jobs"]["build"], publish["jobs"]["deploy"]
    assert "make book" in commands(build["steps"])
    (upload,) = [step for step in build["steps"] if "upload-pages-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == "_build/html"
    assert deploy["needs"] == "build"
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}  # and no more


def test_the_cache_of_executed_notebooks_follows_what_they_depend_on():
    """Both workflows that build the book share it."""
    steps = [step for path in ("ci.yml", "publish.yml") for job in jobs(path) for step in job["steps"]]
    keys = [step["with"]["key"] for step in steps if "cache@" in step.get("uses", "")]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert [name for name in (*INPUTS, "chapters") if name not in keys[0]] == []


def test_workflows_may_only_read_and_agree_on_their_actions():
    found = [path for folder in (".github/workflows", "templates") for path in (ROOT / folder).glob("*.yml")]
    assert len(found) >= 4
    flows = [workflow(path) for path in found]
    assert all(flow["permissions"] == {"contents": "read"} for flow in flows)
    found = [job for flow in flows for job in flow["jobs"].values()]
    assert all(job["timeout-minutes"] <= 60 for job in found)
    uses = {step["uses"] for job in found for step in job["steps"] if "uses" in step}
    assert len(uses) == len({name.split("@")[0] for name in uses}), sorted(uses)


@pytest.fixture
def bare(tmp_path):
    """Return a folder with what `make` needs to make an environment, and none made."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(folder, goal):
    return make("--dry-run", goal, folder=folder).stdout


@pytest.mark.parametrize("goal", ["book", "check", "test"])
def test_each_command_alone_makes_the_environment_once(bare, goal):
    plan = planned(bare, goal)
    assert re.search(r"pip install .*-r requirements\.txt", plan)
    stamp = re.search(r"touch (\S+)", plan).group(1)
    (bare / ".venv").mkdir()
    (bare / stamp).touch()
    assert "pip install" not in planned(bare, goal)
    with (bare / "constraints.txt").open("a") as pins:
        pins.write("another==1.0\n")
    assert "pip install" in planned(bare, goal)


def test_missing_python_is_one_clear_line(bare):
    result = make("book", "PYTHONS=no-such-python", folder=bare)
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert "3.11" in said[0]
    assert "make PYTHON=" in said[0]


# ---- The workflow for a course ----

CLAIM = 'from scalinglaws import book\nbook.claim("half", ours=1 / 2)'


class Course:
    """A course's repository: one notebook with one claim, and the library as `pip install` leaves it, without data."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "lib/scalinglaws", folder / "site/scalinglaws")
        (folder / "notebooks").mkdir()
        cells = [nbformat.v4.new_code_cell(CLAIM)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks/week_1.ipynb")
        (registered,) = re.findall(r"```toml\n(.*?)```", (ROOT / "instructors.md").read_text(), re.DOTALL)
        (folder / "claims.toml").write_text(registered)
        flow = workflow("templates/course-ci.yml")
        self.steps = {step["name"]: step["run"] for step in flow["jobs"]["check"]["steps"] if "run" in step}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {
            **flow["env"],
            "SCALINGLAWS_REGISTRY": str(folder / "claims.toml"),
            "PYTHONPATH": str(folder / "site"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder / "temp"),
        }

    def run(self, command, **environment):
        """Run a step of the template, or another command, as the runner does."""
        step = ["bash", "-e", "-c", self.steps.get(command, command)]
        return subprocess.run(step, cwd=self.folder, env=self.environment | environment, capture_output=True, text=True)


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


def test_the_workflow_for_a_course_runs_its_notebooks_and_gates_them(course):
    ran = course.run("Run the notebooks")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ours = {"LEDGER": "ledger.csv"}
    write = 'scalinglaws claims --write "$RUNNER_TEMP/claims" --notebooks "$NOTEBOOKS" --ledger "$LEDGER"'
    assert "arithmetic, 1 claims: 1 consistent" in course.run(write, **ours).stdout
    held = course.run("Hold their claims to the ledger", **ours)
    assert held.returncode == 0, held.stdout + held.stderr
    ledger = course.folder / "ledger.csv"
    ledger.write_text(ledger.read_text().replace(",consistent,", ",inconsistent,"))
    held = course.run("Hold their claims to the ledger", **ours)
    assert held.returncode == 1
    assert [word for word in ("half", "verdict", "inconsistent") if word not in held.stdout] == []


def part(page, heading):
    """The text of one section of a page."""
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found


def lecture_sections(cells):
    return {section for cell in cells for section in re.findall(r"\d\.\d", cell)}


@pytest.fixture(scope="module")
def sections_of_the_lecture():
    with (ROOT / "data/chapters.csv").open(newline="") as file:
        found = lecture_sections(row["lecture"] for row in csv.DictReader(file))
    assert {"6.0", "6.5", "7.1", "8.1"} <= found
    return found


def test_two_hours_cover_the_lecture_in_sections_that_exist(sections_of_the_lecture):
    plan = part((ROOT / "instructors.md").read_text(), "Two hours")
    rows = re.findall(r"^\| (\d+) \|([^|]*)\| ([^|]*) \|", plan, re.MULTILINE)
    assert sum(int(minutes) for minutes, _, _ in rows) == 120
    assert lecture_sections(lecture for _, lecture, _ in rows) == sections_of_the_lecture
    steps = [re.fullmatch(r"\d+ \[\]\((chapters/\S+\.ipynb)\): (.*)", step) for _, _, step in rows if step != "Break"]
    assert len(steps) >= 13
    for notebook, sections in (step.groups() for step in steps):
        cells = nbformat.read(ROOT / notebook, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for section in re.findall(r"\*([^*]+)\*", sections):
            assert f"## {section}\n" in f"{text}\n", f"{notebook} has no section {section!r}"


def test_two_weeks_cover_the_lecture_and_every_chapter_once(sections_of_the_lecture):
    plan = part((ROOT / "instructors.md").read_text(), "Two weeks")
    rows = re.findall(r"^\| (\d) \| ([\d., ]+) \| ([^|]*\[\][^|]*) \|", plan, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 9))
    assert lecture_sections(lecture for _, lecture, _ in rows) == sections_of_the_lecture
    read = [name for _, _, chapters in rows for name in re.findall(r"\((chapters/\S+\.ipynb)\)", chapters)]
    assert sorted(read) == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").glob("*.ipynb"))


def test_the_page_for_instructors_names_the_steps_of_the_workflow(course):
    page = (ROOT / "instructors.md").read_text()
    assert 'python -m pytest "$NOTEBOOKS" --nbmake' in course.steps["Run the notebooks"]
    assert "python -m pytest notebooks --nbmake\n" in page
    gate = course.steps["Hold their claims to the ledger"]
    shown = gate.replace('"$RUNNER_TEMP/claims"', "records").replace('"$NOTEBOOKS"', "notebooks")
    assert shown.replace('"$LEDGER"', "ledger.csv") in page


def test_the_workflow_for_a_course_installs_the_pins_of_one_commit(course):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    pip = course.folder / "bin/pip"
    pip.parent.mkdir()
    pip.write_text('#!/bin/sh\ntest -f requirements.txt && test -f constraints.txt && pwd && echo "$@"\n')
    pip.chmod(0o755)
    path = f"{pip.parent}:{course.environment['PATH']}"
    done = course.run("Install the book's library", BOOK=str(ROOT), REF="HEAD", PATH=path)
    assert (done.returncode, done.stdout) == (0, f"{course.folder}/book\ninstall --quiet -r requirements.txt\n")
    assert (course.folder / course.environment["LEDGER"]).is_file()


# ---- Imports ----


def test_library_is_imported_from_this_folder():
    assert Path(scalinglaws.__file__).parent == ROOT / "lib/scalinglaws"


def wanted(dist, extra=""):
    """Return the installed distributions that one asks for, and all that these ask for."""
    found, todo = {}, [(dist, {extra, ""})]
    while todo:
        asking, extras = todo.pop()
        for line in asking.requires or []:
            need = Requirement(line)
            name = canonicalize_name(need.name)
            if name in found or not any(need.marker is None or need.marker.evaluate({"extra": e}) for e in extras):
                continue
            found[name] = importlib.metadata.distribution(name)
            todo.append((found[name], {*need.extras, ""}))
    return found.values()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the library's wheel, built from a copy, since a build writes beside the sources."""
    version = importlib.metadata.version("setuptools")
    if int(version.split(".")[0]) < 77:
        pytest.skip(f"setuptools is {version}, a build needs 77")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("lib", "data"):
        shutil.copytree(
            ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "runs")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, folder / "copy")
    run(*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, folder / "copy")
    return next(folder.glob("*.whl"))


def empty_environment(wheel, folder, extra=""):
    """Return the programs' folder of a new environment with the wheel, what it declares, and nothing else.

    What it declares is linked from the environment that runs the tests, so that no test needs a network.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    run(*PIP, "--python", python, "install", "--no-index", "--no-deps", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    for dist in wanted(next(importlib.metadata.distributions(name="scalinglaws", path=[str(site)])), extra):
        for top in {file.parts[0] for file in dist.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(dist.locate_file(top))
    return folder / "bin"


PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.mark.posix
@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel, tmp_path, monkeypatch):
    """Small data are in it, it needs no more than it declares, and what trains says what is missing."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    programs = empty_environment(wheel, tmp_path / "env")
    code = (
        f"import {', '.join(name for name in modules() if '.lab' not in name and '.book' not in name)}\n"
        "from scalinglaws import config, datasets, files, published\n"
        "from scalinglaws.laws import calibration\n"
        "config.from_json(config.to_json(config.DataConfig()), config.DataConfig)\n"
        "derived = files.DATA / 'derived' / 'gadre-ranks.json'\n"
        "print(calibration.STORED.is_file(), derived.is_file(), published.__file__)\n"
        "print(*datasets.DATASETS['gadre-2024'].checksums(), (files.DATA / 'runs').exists())\n"
    )
    printed = run(programs / "python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert printed[0].startswith(f"True True {tmp_path}")
    assert printed[1].endswith(" False")  # stored runs are the clone's
    rows = [
        (N, D, 1.8 + 480 * N**-0.35 + 2100 * D**-0.37) for N in (1e6, 1e7, 1e8, 1e9) for D in (1e8, 1e9, 1e10, 1e11)
    ]
    (tmp_path / "runs.csv").write_text("N,D,loss\n" + "".join(f"{N},{D},{loss:.3f}\n" for N, D, loss in rows))
    assert "besiroglu2024" in run(programs / "scalinglaws", "plan", "--flops", "1e21", cwd=tmp_path).stdout
    fitted = run(programs / "scalinglaws", "fit", "runs.csv", "--report", "fit.html", cwd=tmp_path)
    assert "alpha" in fitted.stdout
    assert (tmp_path / "fit.html").stat().st_size > 10_000
    assert run(programs / "scalinglaws", "--version").stdout.split()[1] == wheel.name.split("-")[1]
    refused = run(programs / "python", "-c", "import scalinglaws as sl; sl.train", cwd=tmp_path, check=False)
    assert "scalinglaws.train needs torch: pip install" in refused.stderr


@pytest.mark.posix
@pytest.mark.slow
def test_with_what_training_declares_it_trains(wheel, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    programs = empty_environment(wheel, tmp_path / "env", "train")
    code = (
        "import scalinglaws as sl\n"
        "from scalinglaws.lab.corpus import codecs, MANIFEST\n"
        "from scalinglaws.lab import sweep\n"
        "codecs.codec_of('data/tokenizers/pystack-4096.json')\n"
        "print(MANIFEST.is_file(), callable(sl.train))"
    )
    assert run(programs / "python", "-c", code, cwd=tmp_path).stdout.split() == ["True", "True"]


def imported_modules(module):
    code = f"import sys, {module}; print(*sys.modules)"
    return set(run(sys.executable, "-W", "error", "-c", code).stdout.split())


def modules():
    """Return the dotted names of all modules of the library."""
    paths = [path.relative_to(ROOT / "lib") for path in (ROOT / "lib/scalinglaws").rglob("[a-z_]*.py")]
    return sorted({".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths})


def test_only_the_lab_loads_torch():
    """One process imports everything else; only a lab could have brought torch."""
    rest = [name for name in modules() if not name.startswith("scalinglaws.lab")]
    assert {"scalinglaws.laws.fit", "scalinglaws.book.chapter", "scalinglaws.cli.plan"} <= set(rest)
    assert "torch" not in imported_modules(", ".join(rest))


def test_nothing_inside_the_package_imports_its_face():
    """Through the face the two halves would know each other; a module is imported by its full name."""
    package = ROOT / "lib/scalinglaws"
    modules = {path.stem for path in package.glob("*.py")} | {path.name for path in package.iterdir() if path.is_dir()}
    for path in {*package.rglob("*.py")} - {package / "__init__.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [each.name for each in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                assert "scalinglaws" not in named, path
            elif isinstance(node, ast.ImportFrom) and node.module == "scalinglaws":
                assert {*named} <= modules, path


def test_import_writes_no_file(tmp_path):
    watch = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and set(str(args[1])) & set('wax+') and args[0] != '/dev/null':\n"
        "        print('opens for writing', args[0])\n"
        "    if event in ('os.mkdir', 'socket.connect', 'socket.getaddrinfo'):\n"
        "        print(event, args[0])\n"
        # what others write on their first import is not ours to judge
        "import matplotlib.pyplot, pandas, scipy.optimize, torch, IPython.display\n"
        "sys.addaudithook(hook)\n"
    )
    code = watch + "".join(f"import {name}\n" for name in modules())
    assert run(sys.executable, "-B", "-c", code, cwd=tmp_path).stdout == ""
    assert list(tmp_path.iterdir()) == []


# ---- The build of the book ----


SOURCES = ("lib/scalinglaws/laws/fit.py", "data/runs/a.csv", "requirements.txt", "constraints.txt")


@pytest.mark.parametrize("name", SOURCES)
def test_digest_follows_every_input(tmp_path, name):
    for other in SOURCES:
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_text("1")
    before = digest(tmp_path)
    (tmp_path / "README.md").write_text("no input")
    (tmp_path / "lib/scalinglaws/__pycache__").mkdir()
    (tmp_path / "lib/scalinglaws/__pycache__/laws.pyc").write_text("generated")
    assert digest(tmp_path) == before
    (tmp_path / name).write_text("2")
    changed = digest(tmp_path)
    assert changed != before
    (tmp_path / name).rename(tmp_path / (name + "x"))
    assert digest(tmp_path) not in (before, changed)


def test_hidden_folders_are_no_pages():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert {".*", "**/.*", "node_modules"} <= set(config["exclude_patterns"])
    assert config["only_build_toc_files"]


def test_no_folder_puts_its_scripts_on_every_page():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    assert config["html_static_path"] == ["assets"]
    assert "html_js_files" not in config
    assert not (ROOT / "_static").exists()


class SmallBook:
    """The real configuration around one page, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("_config.yml", "Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        for name in ("_ext", "assets"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("lib", "data", ".hidden"):
            (folder / name).mkdir()
        (folder / ".hidden/README.md").write_text("# Not a page\n")
        (folder / "references.bib").touch()
        (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n")

    def write(self, *sources, name="page"):
        """Write a page: a title, then one code cell for each source."""
        cells = [nbformat.v4.new_markdown_cell("# A page"), *map(nbformat.v4.new_code_cell, sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), self.folder / f"{name}.ipynb")

    def make(self):
        """Run `make book`; return exit status and all that it said."""
        done = make("book", *OURS, folder=self.folder)
        return done.returncode, done.stdout + done.stderr

    def page(self):
        return (self.folder / "_build/html/page.html").read_text()


@pytest.fixture
def small_book(tmp_path):
    return SmallBook(tmp_path)


@pytest.mark.slow
def test_a_changed_library_or_style_renews_the_pages(small_book):
    constant = small_book.folder / "lib/constant.txt"
    small_book.write("print('constant', 'is', open('lib/constant.txt').read())")
    constant.write_text("one")
    assert small_book.make()[0] == 0
    assert "constant is one" in small_book.page()
    assert not list((small_book.folder / "_build/html").rglob("README.html"))
    assert re.search(r"colab\.research\.google\.com/github/.*/page\.ipynb", small_book.page())
    assert len(re.findall(r"<button[^>]*search-button-field", small_book.page())) == 1
    assert 'data-default-mode="auto"' in small_book.page()
    assert not re.search(r"THEBE_JS_URL|x-thebe-config|sphinx-thebe\.js", small_book.page())
    constant.write_text("two")
    assert small_book.make()[0] == 0
    assert "constant is two" in small_book.page()
    with (small_book.folder / "assets/book.css").open("a") as style:
        style.write("/* new */")
    assert small_book.make()[0] == 0
    assert (small_book.folder / "_build/html/_static/book.css").read_text().endswith("/* new */")


GUIDE = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3, language: python}
---
# A guide

```{code-cell}
from pathlib import Path
assert 6 * 7 == %d
```
"""


RUNS = """
with open("runs.txt", "a") as file:
    file.write("once\\n")
print("forty", "eight", sep="-")
"""


@pytest.mark.slow
def test_notebooks_run_together_and_once(small_book):
    small_book.write("6 * 11111")  # two digits would stand in a file's checksum too
    (small_book.folder / "second.md").write_text(GUIDE.replace("assert 6 * 7 == %d", RUNS))
    with (small_book.folder / "_toc.yml").open("a") as contents:
        contents.write("chapters:\n- file: second\n")
    status, output = small_book.make()
    assert status == 0
    assert re.findall(r"^  (\w+) run in \d+ s", output, re.MULTILINE) in (["page", "second"], ["second", "page"])
    assert "66666" in small_book.page()
    assert (small_book.folder / "runs.txt").read_text() == "once\n"
    assert "forty-eight" in (small_book.folder / "_build/html/second.html").read_text()
    small_book.write("6 * 11111", "6 * 99999")
    assert "599994" not in small_book.page()
    status, output = small_book.make()
    assert status == 0
    assert "599994" in small_book.page()
    assert " run in " not in output  # one alone is the build's own affair


@pytest.mark.slow
def test_an_image_without_alt_text_fails_every_build(small_book):
    small_book.write("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    for _ in range(2):  # the second build must not pass for the reason that the page has been written already
        status, output = small_book.make()
        assert status != 0
        assert "has no alt text" in output


@pytest.mark.slow
@pytest.mark.parametrize("source", ["1 / 0", "import sys\nprint('noise', file=sys.stderr)"], ids=["crash", "stderr"])
def test_a_failing_cell_fails_the_build(small_book, source):
    small_book.write(source)
    assert small_book.make()[0] != 0


@pytest.mark.slow
def test_make_guide_fails_where_a_cell_does(small_book):
    page = small_book.folder / "guides/one.md"
    page.parent.mkdir()
    for number, fails in ((42, False), (43, True)):
        page.write_text((GUIDE % number).replace("assert 6", 'assert Path.cwd().name == "guides"\nassert 6'))
        done = make("guide", "PAGE=guides/one.md", *OURS, folder=small_book.folder)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
    absent = make("guide", "PAGE=guides/none.md", *OURS, folder=small_book.folder)
    assert absent.returncode
    assert "no page 'guides/none.md'" in absent.stderr
