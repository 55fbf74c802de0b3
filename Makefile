# demo and test do all the set-up themselves; see README.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check fix types figures train-tiny lmdeploy-env test-gpu bench-gpu setup-run setup-dev

PY ?= .venv/bin/python
# of train-tiny: where it works, what it is told, where (cpu or cuda; a GPU where there is one), what it makes first, or
# the pack (foveate data pack) that it takes instead
WORK ?= runs/train-tiny
CONFIG ?= tiny
DEVICE ?=
PROVISION ?=
DATA ?=

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup-run:
	@.ci/setup run

setup-dev:
	@.ci/setup dev

demo: setup-run ## Set up, do the five example tasks (scripted, then with the bundled model), write reports
	@du -sm .venv | awk '{print "installed in .venv: " $$1 " MB"}'
	@dpkg-query -W -f='installed by the distribution: $${Package} $${Installed-Size} kB\n' chromium 2>/dev/null || true
	@$(PY) examples/demo.py

test: setup-dev ## Set up and run every test at CI's counts
	@$(PY) -m pytest

check: setup-dev ## Format, lint, layers, types, then every test
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@.venv/bin/lint-imports
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory test

types: setup-dev ## mypy --strict over a built copy (type checkers cannot see a mapped editable install)
	@rm -rf .typecheck && $(PY) -m pip install -q --no-deps --target .typecheck . 2> >(grep -v -i warn >&2)
	@MYPYPATH=.typecheck $(PY) -m mypy -p foveate.actions -p foveate.envs -p foveate.policies -p foveate.agent

fix: setup-dev ## Format and mend what ruff can
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

figures: setup-dev ## Run the full counts, write tests/bench/results/*.json and the README's tables
	@$(PY) tests/bench/fuzz_parse.py --count 1000000 --out tests/bench/results/fuzz_parse.json
	@.venv/bin/foveate bench loop --out tests/bench/results/loop.json
	@.venv/bin/foveate eval tiny --workers 2 --out tests/bench/results/tiny.json \
		$$(test -e tests/bench/results/tiny.json.journal && echo --resume)
	@$(PY) -m foveate.agent.training.card --model policies/internvl/tiny --figures tests/bench/results/tiny.json
	@$(PY) tests/bench/shapes.py --out tests/bench/results/shapes.json
	@.venv/bin/foveate bench model --model tiny --size 1B --layers 6 --rounds 3 --out tests/bench/results/model.json
	@$(PY) tests/bench/overlap.py --rounds 5 --out tests/bench/results/overlap.json
	@$(PY) tests/bench/readme.py

train-tiny: ## Train the bundled checkpoint from nothing, or go on: its data first, then WORK/model (WORK, CONFIG, DEVICE, DATA)
	@[ "$(PY)" != .venv/bin/python ] || .ci/setup train
	@$(PY) -m foveate.agent.training.provision --work $(WORK) $(PROVISION) $(if $(DATA),--data $(DATA))
	@$(PY) -m foveate.agent.start train sft --config $(CONFIG) --work $(WORK) $(if $(DEVICE),--device $(DEVICE)) \
		$$(test -e $(WORK)/state.pt && echo --resume)

test-gpu: setup-dev ## Run the tests that need a CUDA GPU
	@$(PY) -m pytest -m gpu

bench-gpu: setup-dev ## Measure the torch engine, and LMDeploy's where it is, on a CUDA GPU: 1B and 8B, base and Flash
	@.venv/bin/foveate bench model --model tiny --size 1B --size 8B --flash --tiles 1 --tiles 4 --tiles 12 --device cuda
	@$(PY) tests/bench/lmdeploy.py

lmdeploy-env: ## Set up LMDeploy in .venv-lmdeploy, an environment of its own; on a CPU, enough for the parity tests
	@.ci/lmdeploy-env
