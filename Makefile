.PHONY: demo llm test test-all test-peers test-minimums check docs docs-links clean
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

demo: .venv/.installed
	.venv/bin/gating compare --preset quick --out runs/quick

llm: .venv/.installed-llm
	.venv/bin/gating finetune --preset people

test: .venv/.installed-dev
	.venv/bin/python -m pytest -n auto --dist worksteal -m "not long and not kill and not peers"

test-all: .venv/.installed-dev
	.venv/bin/python -m pytest -n auto --dist worksteal --kills 15

test-peers: .venv-peers/.installed
	.venv-peers/bin/python -m pytest -m peers tests

test-minimums: .venv-minimums/.installed
	.venv-minimums/bin/python -m pytest -n auto --dist worksteal -m "not long and not kill and not peers"

check: .venv/.installed-dev
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy

docs: .venv/.installed-docs
	.venv/bin/python -m sphinx -b html -W --keep-going -q docs docs/_build/html
	.venv/bin/python -m docs.site.check docs/_build/html

docs-links: .venv/.installed-docs
	.venv/bin/python -m sphinx -b linkcheck -D plot_gallery=0 -q docs docs/_build/links

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet -e .
	touch $@

.venv/.installed-llm: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet -e '.[llm]'
	touch $@ .venv/.installed

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet -e '.[dev,llm]'
	touch $@ .venv/.installed .venv/.installed-llm

.venv/.installed-docs: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet -e '.[docs,llm]'
	touch $@ .venv/.installed .venv/.installed-llm

.venv/.axe: | .venv/bin/python
	npm install --silent --no-fund --no-audit --prefix .venv/axe axe-core@4.14.1
	touch $@

.venv-minimums/.installed: pyproject.toml tests/minimums.py
	$(PYTHON) -m venv --clear .venv-minimums
	$(PYTHON) -m tests.minimums > .venv-minimums/minimums.txt
	.venv-minimums/bin/python -m pip install --quiet -r .venv-minimums/minimums.txt
	.venv-minimums/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	.venv-minimums/bin/python -m pip check
	touch $@

.venv-peers/.installed: pyproject.toml tests/peers.txt
	$(PYTHON) -m venv --clear .venv-peers
	.venv-peers/bin/python -m pip install --quiet -e '.[dev,llm]' -r tests/peers.txt
	touch $@

clean:
	rm -rf .venv .venv-minimums .venv-peers build docs/_build docs/api docs/files docs/gallery *.egg-info
