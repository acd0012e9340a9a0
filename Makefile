# Three commands do everything, on a fresh clone too: `make check`, `make book` and `make test`. Each first makes .venv when
# it is missing or when the pins have changed.

SHELL := /bin/sh
BIN := .venv/bin

# The environment is as old as the pins that it was made from: their checksum is part of the stamp's name.
PINS := requirements.txt constraints.txt pyproject.toml
STAMP := .venv/installed-$(shell cat $(PINS) | cksum | cut -d ' ' -f 1)
# .venv is made by the first of these that is new enough and can make environments.
PYTHONS := $(PYTHON) python3 python python3.11 python3.12 python3.13 python3.14
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# Nothing of the caller's own Python reaches ours: no packages, no kernels of other environments, no other way to draw.
unexport PYTHONPATH PYTHONHOME JUPYTER_PATH MPLBACKEND
# Nor a matplotlibrc, nor a list of fonts that an environment since removed has left behind.
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
export JUPYTER_PREFER_ENV_PATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help check book slides guide test derived claims lint cold clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

WITHHELD := _build/withheld

book: $(STAMP)  ## Build the book into _build/html; any warning fails the build. SOLUTIONS=0: a copy without solutions too
	@echo "Building the book: seconds where nothing changed, minutes where notebooks have to run ..."
	@# A page with a warning is not built again by itself, and the second build would pass: after a failure forget all pages.
	@$(BIN)/jupyter-book build -q -W -n --keep-going . || { rm -rf _build/.doctrees; exit 1; }
ifeq ($(SOLUTIONS),0)
	@echo "Building a copy without solutions into $(WITHHELD)/_build/html ..."
	@$(BIN)/python _ext/withheld.py $(WITHHELD)
	@$(BIN)/jupyter-book build -q -W -n --keep-going $(WITHHELD)
endif

slides: book  ## Make slides of the figures of the built book, _build/slides.html; CHAPTER=05: of one chapter
	@$(BIN)/python _ext/slides.py "$(CHAPTER)"

guide: $(STAMP)  ## Execute one guide from nothing: make guide PAGE=guides/sweep.md
	@test -f "$(PAGE)" || { echo "no page '$(PAGE)': make guide PAGE=guides/sweep.md" >&2; exit 2; }
	@mkdir -p _build/guides
	$(BIN)/jupytext --to ipynb --set-kernel python3 --execute --run-path "$(CURDIR)/$(dir $(PAGE))" \
	  --output _build/guides/$(basename $(notdir $(PAGE))).ipynb $(PAGE)

# Two workers, one core each; a file stays with one of them, so that what its tests share is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -rs

check: lint  ## Check style and types, then run the unit tests: no chapters, no browser; minutes
	$(PYTEST) tests -m "not browser and not slow and not gpu"

test: lint  ## Check style and types, then run the unit tests, every notebook and the tests of the built pages
	@# Chapters come first: the build of the book takes over what they put out.
	$(PYTEST) chapters tests --nbmake --nbmake-kernel=python3 --nbmake-timeout=600

derived: $(STAMP)  ## Store again, in data/derived, what chapters compute from other people's runs; needs the runs
	OMP_NUM_THREADS=1 SCALINGLAWS_DERIVED=$(CURDIR)/data/derived SCALINGLAWS_CLAIMS=$(CURDIR)/_build/claims-unread \
	  $(BIN)/python -m pytest $$(grep -l book.derived chapters/*.ipynb) --nbmake --nbmake-kernel=python3 \
	  --nbmake-timeout=600 -n 2
	OMP_NUM_THREADS=1 SCALINGLAWS_DERIVED=$(CURDIR)/data/derived $(BIN)/python -c \
	  "from scalinglaws.book import gallery; gallery.table(); gallery.forecasts()"

claims: $(STAMP)  ## Run every notebook and write the ledger of claims, data/claims.csv, afresh
	rm -rf _build/claims
	OMP_NUM_THREADS=1 SCALINGLAWS_CLAIMS=$(CURDIR)/_build/claims $(BIN)/python -m pytest chapters --nbmake \
	  --nbmake-kernel=python3 --nbmake-timeout=600 -n 2
	$(BIN)/scalinglaws claims --write _build/claims

lint: $(STAMP)  ## Check style, types, the flow of imports, and that no notebook carries outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --min-severity error
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify chapters/*.ipynb

cold: $(STAMP)  ## Build the book with every notebook executed afresh
	rm -rf _build
	@$(MAKE) book

clean:  ## Remove what was built, but not .venv
	rm -rf _build .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(STAMP):
	@python=; for p in $(PYTHONS); do if $$p -c '$(USABLE)' 2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer with venv found: install one, or name it with make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Setting up .venv from requirements.txt (minutes the first time) ..."; \
	$(BIN)/python -c '$(USABLE)' 2>/dev/null || $$python -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@rm -f .venv/installed-* && touch $@
