# Each target sets up what it needs. PYTHON chooses the interpreter that makes the environment; SUITE the suite.
PYTHON ?= python3
SUITE ?= default
BIN := .venv/bin
READY := .venv/.ready
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
# With hashes pip prefers links that carry one, so it would pass over a CPU build in a folder (find-links) for the far
# larger CUDA build. So torch comes first: the file that pip takes without hashes, held against those of the lock.
TORCH := sed -n '/^torch==/,/[^\\]$$/p' requirements.txt >.venv/torch.txt \
  && $(BIN)/pip download --quiet --disable-pip-version-check --no-deps --dest .venv/torch "$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)" \
  && { $(INSTALL) --no-index --find-links .venv/torch --require-hashes -r .venv/torch.txt \
       || echo "the torch that pip finds is not in the lock; taking one that is"; } && rm -rf .venv/torch

.DEFAULT_GOAL := help
.PHONY: help setup lock audit-dependencies bench test test-slow test-services test-browser screenshots tracking-server lint ui throughput throughput-compare throughput-gates report docs train-mini clean crash-test

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

setup: $(READY)  ## make .venv and install what requirements.txt locks, each file checked by its hash

$(READY): pyproject.toml requirements.txt requirements-cuda.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "jetassay needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@start=$$(date +%s); $(PYTHON) -m venv --clear .venv && echo "environment made in $$(( $$(date +%s) - start )) s"
	@start=$$(date +%s); $(TORCH) && echo "torch installed in $$(( $$(date +%s) - start )) s"
	@start=$$(date +%s); $(INSTALL) --require-hashes -r requirements.txt && echo "requirements installed in $$(( $$(date +%s) - start )) s"
	@$(BIN)/pip check >/dev/null || $(INSTALL) --require-hashes -r requirements-cuda.txt  # pip took torch's CUDA build
	@$(INSTALL) --no-build-isolation --editable . && $(BIN)/pip check
	@touch $@

lock:  ## resolve requirements.txt again from pyproject.toml (needs uv)
	@$(PYTHON) .ci/lock.py

audit-dependencies: $(READY)  ## known vulnerabilities of what is locked (asks a service on the network)
	@$(BIN)/python .ci/audit.py

bench: $(READY)  ## run a suite (SUITE=default): simulate once, embed, probe, compare, track
	@$(BIN)/jetassay run $(SUITE)

# A process for each core, at most four (each takes a gigabyte), so each with one thread of its own in torch and BLAS.
# All tests of a file run in one of them, in their order: what a file makes once is made once.
test: $(READY)  ## linters of structure and all tests but the slow ones
	@$(BIN)/lint-imports --no-cache && OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(READY)  ## physics checks that take minutes
	@$(BIN)/pytest -m slow

test-services: $(READY)  ## many processes track into PostgreSQL and an S3-compatible store, where PostgreSQL is installed
	@$(BIN)/pytest -m services tests/services

tracking-server: $(READY)  ## such a server on this machine until Ctrl-C, for trying out
	@$(BIN)/python tests/services/tracking_server.py

test-browser: $(READY)  ## report, documentation and MLflow's comparison in a headless Chromium
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || { echo "make test-browser needs a Chromium: sudo apt-get install chromium"; exit 1; }
	@$(BIN)/pytest -m browser tests/browser

screenshots: $(READY)  ## docs/images: the report of SUITE and MLflow's comparison of its runs, as a browser shows them
	@$(BIN)/python tests/browser/screenshots.py $(SUITE)

crash-test: $(READY)  ## kill, fill, replace, run again: faults of every kind against a small suite, some minutes
	@$(BIN)/python tests/crash

lint: $(READY)  ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

ui: $(READY)  ## open MLflow's comparison of all runs, local and light
	@$(BIN)/jetassay ui

throughput: $(READY)  ## speed, memory and scaling of every card and stage, weaver-core beside them: JSON, a page, MLflow
	@$(BIN)/jetassay throughput

throughput-compare: $(READY)  ## what became slower than the kept baseline (jetassay throughput --keep keeps one)
	@$(BIN)/jetassay throughput --compare

throughput-gates: $(READY)  ## weaver-core side by side; fails where ours is slower than benchmarks/gates.toml asks for
	@$(BIN)/jetassay throughput --gates

report: $(READY)  ## draw the report of SUITE again from its stored scores
	@$(BIN)/jetassay report $(SUITE)

docs: $(READY)  ## the documentation as a site: site/index.html opens from the disk
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict && echo "open site/index.html"

train-mini: $(READY)  ## train the weights that ship, from simulation to card
	@$(BIN)/jetassay train-mini

clean:  ## remove the environment and caches of tools; runs, reports and the jet cache stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks build dist site
