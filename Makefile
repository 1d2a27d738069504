# Every target sets up what it needs, in .venv: nothing but Python 3.11 or newer has to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check snapshots format bench bench-train bench-front bench-all clean fuzz nightly soak zoo zoo-quick

help:  ## print this help
	@echo "make TARGET: each target sets up a virtual environment in $(VENV) by itself"
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{printf "  %-12s%s\n", $$1, $$2}'

# torch first and by its exact version, so that nothing else can bring another one
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nnspec needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@echo "setting up $(VENV) (once; the download of torch takes a while)" >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

setup: $(READY)  ## create the virtual environment and install everything

demo: $(READY)  ## check, compile, train, evaluate, profile and export the small CNN on real digits
	@set -e; nnspec() { echo; echo "$$ nnspec $$*"; $(BIN)/python -m nnspec "$$@"; }; \
	spec=specs/cnn/simple_cnn.nn; \
	nnspec check $$spec; \
	nnspec summary $$spec --with N=1; \
	nnspec compile $$spec --explain-fusion; \
	nnspec train $$spec --recipe Digits --output runs/demo; \
	run=$$(ls -td runs/demo/Digits-* | head -n 1); \
	nnspec evaluate $$run; \
	nnspec profile $$spec --batch 32; \
	for target in onnx pt2 safetensors python; do \
	  case $$target in onnx) end=onnx;; pt2) end=pt2;; safetensors) end=safetensors;; python) end=py;; esac; \
	  nnspec export $$run --to $$target --output $$run/simple_cnn.$$end; \
	done; \
	echo; $(BIN)/python -m nnspec evaluate $$run --json | $(BIN)/python -c "import json, sys; \
	accuracy = json.load(sys.stdin)['metrics']['accuracy']; \
	print(f'test accuracy {accuracy:.4f}, run folder $$run, learning curve $$run/curve.png'); \
	sys.exit(accuracy < 0.97 and 'the accuracy should be at least 0.97')"

test: $(READY)  ## run the whole test suite
	$(BIN)/python -m pytest -n 2 --durations=40 --durations-min=5

check: $(READY)  ## format, lint, types, import contracts, torch-free tests: under a minute
	$(BIN)/ruff format --check nnspec tests benchmarks
	$(BIN)/ruff check nnspec tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 2 -m "not torch and not slow and not nightly"

snapshots: $(READY)  ## rewrite the rendered messages in the Markdown tests; read the difference before you commit it
	NNSPEC_SNAPSHOTS=write $(BIN)/python -m pytest tests/test_mdtest.py

format: $(READY)  ## format the code and the specs
	$(BIN)/ruff format nnspec tests benchmarks
	$(BIN)/ruff check --fix nnspec tests benchmarks
	$(BIN)/python -m nnspec fmt specs

bench: $(READY)  ## inference beside torch, its compilers, ONNX Runtime and OpenVINO (a quarter of an hour; needs the extra `engines`)
	$(BIN)/python -m benchmarks.inference

bench-train: $(READY)  ## training steps beside loops by hand, torch.compile, Lightning, Keras, scikit-learn, PyTorch Geometric (needs the extra `peers`)
	$(BIN)/python -m benchmarks.training

bench-front: $(READY)  ## how fast a cold check and a first training are, how checks and compiling grow with the network
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/first_training.py
	$(BIN)/python benchmarks/check_speed.py
	$(BIN)/python benchmarks/chain_growth.py
	$(BIN)/python benchmarks/compile_growth.py

bench-all: $(READY)  ## run the other benchmarks, one after the other; `fuzz` and `soak` have the long ones
	@for benchmark in $(filter-out benchmarks/soak.py benchmarks/input_fuzz.py,$(wildcard benchmarks/*.py)); do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

fuzz: $(READY)  ## hours: ten million damaged inputs, the checker against torch and fused networks against themselves on 20,000 random networks
	$(BIN)/python benchmarks/hostile_input.py
	$(BIN)/python benchmarks/input_fuzz.py --cases 10000000 --seed 0 --jobs 2 --state benchmarks/results/input_fuzz_state.json
	$(BIN)/python benchmarks/differential.py --networks 20000 --seed 0 --jobs 2
	$(BIN)/python benchmarks/fused_fuzz.py --networks 20000 --seed 0 --jobs 2

nightly: $(READY)  ## the tests that are too long for every change: all families exported, resumed and trained by several processes, sweeps
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -n 2 -m nightly

soak: $(READY)  ## trainings killed, stopped and with a failing disk, at every call that writes and 200 random times; all recipes gone on with
	$(BIN)/python benchmarks/soak.py

zoo: $(READY)  ## train every spec on real data to the figure it has to reach, and write specs/README.md (hours; NNSPEC_DATA names the data)
	$(BIN)/python -m benchmarks.zoo

zoo-quick: $(READY)  ## the same with short trainings and smaller figures, in under 20 minutes
	$(BIN)/python -m benchmarks.zoo --quick

clean:  ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
