"""The registry of claims: held to its own history, to the runs that its claims read, and to the numbers found."""

import dataclasses
import datetime
import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from test_book import CLAIM, registered

from scalinglaws import published, runs
from scalinglaws.book import claims, ledger, registry
from scalinglaws.book.claims import number
from scalinglaws.lab import sweep

ROOT = Path(__file__).parents[2]
REGISTRY = "data/claims.toml"
ENTRIES = registry.read()
LEDGER = ledger.read()
RECORDED = ("statement", "published", "published_id", "quantity", "reproduced", "opposite", "criterion")
MET = ("reproduced", "reproduced in direction", "consistent")


# ---- Its history ----


def git(*arguments):
    """What git says in the checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def unrecorded(versions):
    """Edits without a record, of versions (date, entries by id) from oldest to newest.

    An edit between two versions is recorded if the later one has an entry under `changed` that the earlier lacks, of
    a day not before the earlier version. Records stay, and so do claims: one that is given up is retired.
    """
    faults = []
    for (day, before), (_, after) in itertools.pairwise(versions):
        faults += [f"{id} is gone" for id in before if id not in after]
        for id in before.keys() & after.keys():
            old, new = before[id], after[id]
            kept, now = old.get("changed", []), new.get("changed", [])
            fresh = [edit for edit in now if edit not in kept and edit["date"] >= day]
            edited = [name for name in RECORDED if old.get(name) != new.get(name)]
            if edited and not fresh:
                faults.append(f"{id}: {', '.join(edited)} changed without a record")
            faults += [f"{id}: the record of {edit['date']} is gone" for edit in kept if edit not in now]
            faults += [f"{id}: {x} changed" for x in ("first_seen", "registered") if old.get(x) != new.get(x)]
    return faults


def test_every_edit_has_a_record():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the registry cannot be held to its history")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("a shallow clone: the registry cannot be held to its history; fetch all of it (fetch-depth: 0)")
    commits = [line.split() for line in git("log", "--reverse", "--format=%H %as", "--", REGISTRY).splitlines()]
    versions = [(day, tomllib.loads(git("show", f"{commit}:{REGISTRY}"))) for commit, day in commits]
    versions.append(("now", tomllib.loads((ROOT / REGISTRY).read_text(encoding="utf-8"))))
    assert unrecorded(versions) == []


BARE = "slope: criterion changed without a record"
EDIT = {"date": "2027-01-02", "what": "criterion", "why": "a slip"}


@pytest.mark.parametrize(
    ("before", "after", "faults"),
    [
        ({"criterion": "a"}, {"criterion": "b"}, [BARE]),
        ({"reproduced": [0, 1]}, {"reproduced": [0, 2]}, ["slope: reproduced changed without a record"]),
        ({"criterion": "a"}, {"criterion": "b", "changed": [EDIT]}, []),
        ({"criterion": "a"}, {"criterion": "b", "changed": [EDIT | {"date": "2026-12-31"}]}, [BARE]),
        ({"criterion": "a", "changed": [EDIT]}, {"criterion": "b", "changed": [EDIT]}, [BARE]),
        ({"changed": [EDIT]}, {}, ["slope: the record of 2027-01-02 is gone"]),
        ({"first_seen": "2027-01-01"}, {"first_seen": "2026-01-01"}, ["slope: first_seen changed"]),
        ({"verdict": "undecided"}, {"verdict": "reproduced"}, []),  # new runs may do that
    ],
)  # fmt: skip
def test_an_edit_without_a_record_is_found(before, after, faults):
    assert unrecorded([("2027-01-01", {"slope": before}), ("2027-01-03", {"slope": after})]) == faults


def test_a_claim_that_vanishes_is_found():
    versions = [("2027-01-01", {"slope": {}, "floor": {}}), ("2027-01-03", {"floor": {"retired": {}}})]
    assert unrecorded(versions) == ["slope is gone"]


def test_a_retired_claim_is_shown_nowhere_and_keeps_its_verdict(tmp_path):
    retired = [entry for entry in ENTRIES.values() if entry.retired]
    assert not {entry.id for entry in retired} & {*LEDGER["id"]}
    for entry in retired:
        assert datetime.date.fromisoformat(entry.retired["date"]) >= datetime.date.fromisoformat(
            entry.first_seen or entry.registered
        )
        assert entry.retired["why"]
    over = {"date": "2027-01-02", "why": "the chapter shows it"}
    registered(path := tmp_path / "claims.toml", slope={})
    path.write_text(
        path.read_text().rstrip("\n") + f'\nretired = {{ date = "{over["date"]}", why = "{over["why"]}" }}\n'
    )
    with pytest.raises(ValueError, match="claim slope was retired on 2027-01-02: the chapter shows it"):
        claims.claim("slope", ours=1.0, registry=path)
    with pytest.raises(ValueError, match="has date and why, and no claim that awaits runs has it"):
        registry.Entry(id="a", **CLAIM, retired={"date": "2027-01-02"})


def test_a_published_row_has_three_claims_at_most():
    held = [e.published_id for e in ENTRIES.values() if not e.retired and not e.awaits and e.kind == "trained"]
    assert {id for id in held if held.count(id) > 3} == set()


def test_the_workflows_that_test_fetch_the_history():
    for name in ("ci", "weekly"):
        assert "fetch-depth: 0" in (ROOT / f".github/workflows/{name}.yml").read_text(), name


# ---- Dates ----


def too_young(entry, first_run):
    """What is wrong with the day on which a claim was registered; runs that it reads began on ``first_run``."""
    if bool(entry.first_seen) == bool(entry.registered):
        return "give `registered`, or `first_seen` for a claim of before the registry, and not both"
    datetime.date.fromisoformat(entry.registered or entry.first_seen)
    if entry.registered and first_run and entry.registered > first_run[:10]:
        return f"registered on {entry.registered}, after its first run of {first_run}"
    return ""


def first_run(entry):
    """The earliest time of the stored rows that a claim reads."""
    return min((runs.stored(name)["time"].min() for name in entry.runs), default="")


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_claim_is_older_than_its_runs(entry):
    assert too_young(entry, first_run(entry)) == ""
    assert bool(entry.runs or entry.awaits) == (entry.how == "stored"), "`runs` names the sweeps of a stored claim"
    later = [edit["date"] for edit in entry.changed]
    assert later == sorted(later)
    assert all({*edit} == {"date", "what", "why"} and all(edit.values()) for edit in entry.changed)
    assert all(datetime.date.fromisoformat(day) for day in later)


def test_an_awaited_sweep_is_written_and_not_stored():
    for name in {name for entry in ENTRIES.values() for name in entry.awaits}:
        assert (ROOT / "sweeps" / f"{name}.py").is_file(), name
        assert not (ROOT / "data" / "runs" / f"{name}.csv").exists(), f"{name} is stored: write `runs` for `awaits`"
        assert min(spec.train.seed for spec in sweep.load(name)) >= 10, f"{name}: the first ten seeds were the pilots'"


def test_an_awaited_claim_is_registered_and_shown_nowhere(tmp_path):
    awaited = [entry for entry in ENTRIES.values() if entry.awaits]
    assert all(entry.registered and not entry.first_seen for entry in awaited)
    assert not {entry.id for entry in awaited} & {*LEDGER["id"]}
    registered(path := tmp_path / "claims.toml", slope={"awaits": ["muon"], "verdict": "undecided"})
    with pytest.raises(ValueError, match="claim slope awaits the runs of muon: store them"):
        claims.claim("slope", ours=1.0, registry=path)
    with pytest.raises(ValueError, match="has runs or a verdict, and awaits runs"):
        registry.Entry(id="a", **CLAIM | {"verdict": "reproduced"}, awaits=("muon",))


def test_a_claim_that_is_younger_than_its_runs_is_found():
    young = registry.Entry(id="a", **CLAIM, runs=("synthetic",), registered="2026-11-22")
    assert first_run(young).startswith("2026-11-21")
    assert too_young(young, first_run(young)).startswith("registered on 2026-11-22, after its first run of 2026-11-21")
    assert too_young(dataclasses.replace(young, registered="2026-11-20"), first_run(young)) == ""
    assert too_young(dataclasses.replace(young, first_seen="2026-11-22"), "").startswith("give `registered`, or")


def test_first_seen_belongs_to_the_claims_of_before_the_registry():
    seen = [entry for entry in ENTRIES.values() if entry.first_seen]
    late = [entry for entry in seen if entry.first_seen > "2026-11-22"]
    assert len(seen) - len(late) == 163  # later ones have `registered`
    # A statement of the lecture that the book had left out, and those of papers that are younger than the runs.
    since = {"since-curve-decay", "since-curve-error", "since-collapse", "since-collapse-control"}
    assert {entry.id for entry in late} == {
        "mup-better-tuned",
        "since-counts-characters",
        "since-counts-subwords",
    } | since
    assert all("added after its runs were seen" in entry.changed[0]["what"] for entry in late)


# ---- Numbers and words ----


@pytest.mark.parametrize("row", LEDGER.to_dict("records"), ids=LEDGER["id"])
def test_the_ledgers_interval_lies_where_the_verdict_says(row):
    entry = ENTRIES[row["id"]]
    low, high = (None, None) if row["low"] != row["low"] else (row["low"], row["high"])
    earned = {registry.decide(entry, row["ours"], low, high, also) for also in (True, entry.verdict in MET)}
    assert entry.verdict in earned
    for name in ("statement", "published_id", "criterion", "verdict", "kind", "how", "section", "fmt"):
        assert row[name] == getattr(entry, name), name


def test_an_interval_outside_its_region_is_found():
    row = next(row for row in LEDGER.to_dict("records") if row["id"] == "powers-floor")
    test_the_ledgers_interval_lies_where_the_verdict_says(row)
    with pytest.raises(AssertionError):
        test_the_ledgers_interval_lies_where_the_verdict_says(row | {"high": 1.75})


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_says_what_decides(entry):
    assert entry.quantity
    assert entry.section
    assert entry.kind == "arithmetic" or entry.opposite
    assert entry.kind == "arithmetic" or entry.reproduced or entry.verdict != "reproduced"
    for row in re.findall(r"\b[A-Z]\d\d\b", entry.published_id):
        published.row(row)
    for low, high in entry.reproduced:  # what is reproduced is not opposite, but for a common end
        assert not any(low < right and left < high for left, right in entry.opposite)


def test_kinds_and_ways_go_together():
    pairs = {(entry.kind, entry.how) for entry in ENTRIES.values()}
    assert pairs - {("arithmetic", "live")} == {
        ("trained", "live"), ("trained", "stored"), ("public data", "public data"), ("arithmetic", "arithmetic"),
    }  # fmt: skip
    assert [id for id, e in ENTRIES.items() if (e.kind, e.how) == ("arithmetic", "live")] == ["mup-tables-equivalent"]


def test_every_entry_is_claimed_by_one_chapter_and_the_other_way_round():
    chapters = sorted((ROOT / "chapters").glob("*.ipynb"))
    patterns = [(path.stem, pattern) for path in chapters for pattern in ledger.stated(path)]
    for id in ENTRIES:
        exact = [chapter for chapter, pattern in patterns if pattern == re.escape(id)]
        found = exact or [chapter for chapter, pattern in patterns if re.fullmatch(pattern, id)]
        wanted = 0 if ENTRIES[id].awaits or ENTRIES[id].retired else 1
        assert len(found) == wanted, f"{id}: claimed in {found or 'no chapter'}"
    for chapter, pattern in patterns:
        assert any(re.fullmatch(pattern, id) for id in ENTRIES), f"{chapter}: {pattern} is not in the registry"


def test_the_readme_counts_the_ledger():
    (table,) = re.findall(r"(\| Kind .*?)\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert table == tally(claims.counts(LEDGER))


def tally(counts):
    """The table of README: kinds by verdict."""
    rows = [("Kind", *counts.columns), (":--", *["--:"] * len(counts.columns))]
    rows += [(kind, *(str(n) if n else "–" for n in row)) for kind, row in counts.iterrows()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# Differences of two rows, limits, and values that a formula without figures has.
WORKED_OUT = {
    "depth-width-ff-flat", "depth-width-ff-flat-seeds", "depth-width-aspect-tuned", "depth-width-aspect-tuned-seeds",
    "batch-doubling", "batch-twice", "batch-grows", "batch-data-not-size", "mup-variance", "mup-first-logits",
    "joint-analytic", "hard-head", "hard-decay-exponent", "hard-own-decay", "hard-own-head", "hard-own-tuned",
    "hard-own-warmup", "overtraining-gadre-constants", "summary-deepseek",
}  # fmt: skip


NUMBERS = published.table().set_index("id")["number"]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_published_number_stands_in_its_row(entry):
    said = str(entry.published)
    if entry.id in WORKED_OUT or not re.fullmatch(r"[−+\d.,]+( × 10\S+)?%?", said):
        return
    rows = [published.row(id) for id in re.findall(r"\b[A-Z]\d\d\b", entry.published_id)]
    figures = [value for row in rows for value in row.figures.values()] + [*NUMBERS.reindex([row.id for row in rows])]
    units = (1, 0.01, 1e-9)  # of the row over those of the card: percent, billions
    prints = {number(float(value) * unit, entry.fmt) for value in figures for unit in units}
    assert said in prints | {row.text for row in rows}
