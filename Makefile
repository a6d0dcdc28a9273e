# Everything a person runs by name. `make train` and `make test` work in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test up down bench bench-large screenshots lint format lock clean

train: .venv/.installed
	@$(BIN)/python flows/train_flow.py $(ARGS)

test: .venv/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

# A Prefect server on loopback, the deployments of prefect.yaml, and a worker, until Ctrl-C; PORT=4300 moves it.
up: .venv/.installed
	@$(BIN)/python deployment/up.py

# Ends what a killed `make up` left behind.
down: .venv/.installed
	@$(BIN)/python deployment/down.py

# Half an hour on two cores that do nothing else; ARGS="--suite long" for the long recipes instead.
bench: .venv/.installed
	$(BIN)/python benchmarks/bench.py $(ARGS)

# On data larger than memory: 12 GB of disk, and some minutes to make the data; ARGS="--data FOLDER" keeps it.
bench-large: .venv/.installed
	$(BIN)/python benchmarks/bench.py --suite large $(ARGS)

# Takes the pictures in docs/ anew, of runs on MNIST; needs Chromium and some minutes.
screenshots: .venv/.installed-dev
	@PYTHONPATH=tests $(BIN)/python tests/browser/screenshots.py

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rebuilds all lock files from pyproject.toml: versions and hashes, no addresses.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
lock: .venv/.installed-dev
	$(LOCK) --upgrade pyproject.toml --output-file requirements.txt
	$(LOCK) --extra ray --constraint requirements.txt pyproject.toml --output-file requirements-ray.txt
	$(LOCK) --extra ray --extra dev --constraint requirements-ray.txt pyproject.toml --output-file requirements-dev.txt

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The lock files are whole: nothing is resolved, so that pip can't wish for newer ones than they name.
# An interrupted installation leaves no stamp, so the next call goes on where it was.
.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-dev.txt
	@touch $@
