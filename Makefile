# `make demo` and `make test` each do all of their set-up; nothing but Python ≥ 3.11, git and make is needed.
PYTHON ?= python3
TAPE ?=
ROUNDS ?= 5
MINUTES ?= 5
SEED ?= 1
PY = .venv/bin/python
# Set-up installs packages without bytecode; it is written where a module is first imported, or each of hundreds of
# processes would compile it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-tests demo soak test test-contracts test-protocol test-node test-lab test-e2e test-masked test-faults lint gas abi circuits assure peers lock clean

setup:
	@$(PYTHON) -m toolchain.setup

setup-tests:
	@$(PYTHON) -m toolchain.setup --with-test-peers

demo: setup ## six desks train one surface on a fresh chain; TAPE=file, ROUNDS=n, PROOFS=bounded or trained, KEEP=1 keeps its page up
	@$(PY) -m scripts.demo --rounds $(ROUNDS) $(if $(TAPE),--tape $(TAPE)) $(if $(PROOFS),--proofs $(PROOFS)) $(if $(KEEP),--keep)

soak: setup-tests ## eight nodes while everything goes wrong, then every invariant is checked; MINUTES=n, SEED=n
	@$(PY) -m scripts.soak --minutes $(MINUTES) --seed $(SEED)

# Three lanes wait for the clocks of real processes, one does now and then, three only compute: each lets those go first.
PYTEST = $(PY) -m pytest -p no:ape_test
LANE = $(MAKE) --no-print-directory -k
test: lint ## every test
	@$(PY) -m toolchain.lanes e2e='$(LANE) test-e2e' masked='$(LANE) test-masked' faults='$(LANE) test-faults' \
		node='nice -n 5 $(LANE) test-node' contracts='nice -n 10 $(LANE) test-contracts' \
		protocol='nice -n 10 $(LANE) test-protocol' lab='nice -n 10 $(LANE) test-lab'

lint: setup-tests
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

test-contracts: setup-tests
	@.venv/bin/ape test

test-protocol: setup-tests
	@$(PYTEST) tests/protocol tests/proofs tests/market

test-node: setup-tests
	@$(PYTEST) tests/node

test-lab: setup-tests
	@$(PYTEST) tests/lab tests/learning tests/cli

test-e2e: setup-tests
	@$(PYTEST) tests/e2e --ignore tests/e2e/test_masked.py

test-masked: setup-tests
	@$(PYTEST) tests/e2e/test_masked.py tests/dashboard

test-faults: setup-tests
	@$(PYTEST) tests/faults tests/storage

gas: setup ## measures gas again, rewrites benchmarks/gas.json and prints it
	@.venv/bin/ape run gas

abi: setup ## rewrites the interfaces that the off-chain package carries
	@.venv/bin/ape run abi

circuits: setup ## compiles the circuits and generates their verifiers; CHECK=1 only says what is out of date
	@$(PY) -m toolchain.circuits $(if $(CHECK),--check) $(if $(STRING),--string $(STRING))

assure: setup ## Slither and halmos over the contracts, about two minutes; their own tools come on the first run
	@$(PY) -m toolchain.assure

peers: ## aggregation, masking and simulation beside Flower and ByzFL, gas beside other contracts; rewrites benchmarks/peers.json and the tables
	@$(PYTHON) -m toolchain.peers $(if $(PART),"$(PART)")

lock: ## resolves requirements.lock anew (needs uv)
	@toolchain/lock.sh --upgrade

clean:
	rm -rf .venv node_modules build .build contracts/.cache tests/peers/ipfs/node_modules
