# `make train` and `make test` work in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-all up down serve bench bench-large screenshots docs lint format lock clean

train: .venv/.installed
	@$(BIN)/python flows/train_flow.py $(ARGS)

# In two processes, each file in one of them, since the tests of a file share what takes long to start; ARGS="-n 0" for one.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Without the tests that take more than a few seconds each, or need Chromium.
test: .venv/.installed-dev
	$(PYTEST) -m "not (browser or deployment or mnist or ray or registry or slow)" $(ARGS)

test-all: .venv/.installed-dev
	$(PYTEST) $(ARGS)

# Runs a Prefect server on 127.0.0.1, the deployments of prefect.yaml and a worker until Ctrl-C; PORT=4300 sets the port.
up: .venv/.installed
	@$(BIN)/python deployment/up.py

# Ends the processes of a `make up` that was killed.
down: .venv/.installed
	@$(BIN)/python deployment/down.py

# Serves the champion over HTTP, with a page to draw digits on, until Ctrl-C; ARGS="--help" lists the flags.
serve: .venv/.installed
	@$(BIN)/python deployment/serve.py $(ARGS)

# About 23 minutes on two cores that do nothing else; ARGS="--suite long" for the long recipes instead, over an hour;
# ARGS="--resume" goes on after an interruption.
bench: .venv/.installed
	$(BIN)/python benchmarks/bench.py $(ARGS)

# On data larger than memory: 12 GB of disk, and some minutes to make the data; ARGS="--data FOLDER" keeps it.
bench-large: .venv/.installed
	$(BIN)/python benchmarks/bench.py --suite large $(ARGS)

# Replaces the screenshots in docs/, of runs on MNIST; needs Chromium and some minutes.
screenshots: .venv/.installed-dev
	@PYTHONPATH=tests $(BIN)/python tests/browser/screenshots.py

# Brings the manual's tables up to date and builds it into site/; a broken link is an error. The variable turns off the
# news that Material for MkDocs is maintained until May 2027; Zensical, its successor, reads the same mkdocs.yml.
docs: .venv/.installed-dev
	@$(BIN)/python docs/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the manual: site/index.html"

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rebuilds all lock files from pyproject.toml: versions and hashes, no addresses.
# Where pip 23.2 and older find only the pin `sqlalchemy[asyncio]==…`, they don't apply it to packages that require plain
# `sqlalchemy`; awk appends each such pin a second time, without extras.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header
EXTRAS := --extra ray --extra export --extra heif --extra mlflow --extra tune
lock: .venv/.installed-dev
	$(LOCK) --upgrade pyproject.toml --output-file requirements.txt
	$(LOCK) $(EXTRAS) --constraint requirements.txt pyproject.toml --output-file requirements-extras.txt
	$(LOCK) $(EXTRAS) --extra dev --extra docs --constraint requirements-extras.txt pyproject.toml --output-file requirements-dev.txt
	for file in requirements.txt requirements-extras.txt requirements-dev.txt; do \
	  awk '/^[^ ]/ { extras = /\[/ } { print } extras { sub(/\[.*\]/, ""); plain = plain $$0 "\n" } END { printf "%s", plain }' \
	    $$file > $$file.new && mv $$file.new $$file || exit; \
	done

clean:
	rm -rf .venv build site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# --no-deps for the project itself: a dependency that isn't locked must fail the tests, not be installed without a lock.
# An interrupted installation leaves no stamp file, so the next call continues it.
.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@touch $@
