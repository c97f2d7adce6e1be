# `make demo` and `make test` each do all of their set-up; nothing but Python ≥ 3.11, git and make is needed.
PYTHON ?= python3
TAPE ?=
ROUNDS ?= 5
PY = .venv/bin/python

.PHONY: setup setup-tests demo test test-contracts test-offchain lint gas abi circuits assure lock clean

setup:
	@$(PYTHON) toolchain/setup.py

setup-tests:
	@$(PYTHON) toolchain/setup.py --with-test-peers

demo: setup ## six desks train one surface on a fresh chain; TAPE=file, ROUNDS=n, PROOFS=bounded or trained
	@$(PY) -m scripts.demo --rounds $(ROUNDS) $(if $(TAPE),--tape $(TAPE)) $(if $(PROOFS),--proofs $(PROOFS))

test: lint test-contracts test-offchain ## every test

lint: setup-tests
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

test-contracts: setup-tests
	@.venv/bin/ape test

test-offchain: setup-tests
	@$(PY) -m pytest -p no:ape_test tests --ignore=tests/contracts

gas: setup ## measures gas again, rewrites benchmarks/gas.json and prints it
	@.venv/bin/ape run gas

abi: setup ## rewrites the interfaces that the off-chain package carries
	@.venv/bin/ape run abi

circuits: setup ## compiles the circuits and generates their verifiers; CHECK=1 only says what is out of date
	@$(PY) -m toolchain.circuits $(if $(CHECK),--check) $(if $(STRING),--string $(STRING))

assure: setup ## Slither and halmos over the contracts, about two minutes; their own tools come on the first run
	@$(PY) -m toolchain.assure

lock: ## resolves requirements.lock anew (needs uv)
	@toolchain/lock.sh --upgrade

clean:
	rm -rf .venv node_modules build .build contracts/.cache tests/peers/ipfs/node_modules
