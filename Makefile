# `make demo` shows Seqloom at work, `make test` runs its tests; each first makes its own .venv if need be.
# VENV=... puts the environment elsewhere; tools/install.sh says what else can be chosen.
VENV ?= .venv
installed_from := pyproject.toml constraints.txt tools/install.sh

.PHONY: demo test check-long lint format clean

demo: $(VENV)/.ready
	"$(VENV)/bin/seqloom" demo

test: $(VENV)/.ready-dev
	"$(VENV)/bin/python" -m pytest -q -n 2

check-long: $(VENV)/.ready-dev
	SEQLOOM_EXPLORE=1 "$(VENV)/bin/python" -m pytest -m long

lint: $(VENV)/.ready-dev
	"$(VENV)/bin/ruff" check
	"$(VENV)/bin/ruff" format --check
	"$(VENV)/bin/mypy"

format: $(VENV)/.ready-dev
	"$(VENV)/bin/ruff" check --fix
	"$(VENV)/bin/ruff" format

$(VENV)/.ready: $(installed_from)
	@sh tools/install.sh "$(VENV)" plot,zstd
	@touch "$@"

$(VENV)/.ready-dev: $(installed_from)
	@sh tools/install.sh "$(VENV)" dev
	@touch "$@" "$(VENV)/.ready"

clean:
	rm -rf "$(VENV)" build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
