# The two commands that do all the set-up:
#   make demo [VIDEO=path]   people and poses in a sample video, or in your own
#   make test                lint, types and every test
# and where an NVIDIA GPU is: make test-gpu
PYTHON ?= python3
VIDEO ?=
PIP := -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test test-gpu docs pictures limits readme clean

help:
	@sed -n '/^#/!q; s/^# *//p' Makefile

demo: .venv/.ready
	.venv/bin/python samples/demo.py $(if $(VIDEO),"$(VIDEO)")

test: .venv-dev/.ready
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy
	.venv-dev/bin/pytest -m "" --durations=25

# What only an NVIDIA GPU can show: its tests, and its figures in benchmarks/results/gpu. It installs nothing:
# PyTorch for CUDA, OpenCV and pytest have to be there, in .venv-dev or in $(PYTHON); TensorRT is tested if it is.
GPU_PYTHON := $(if $(wildcard .venv-dev/.ready),.venv-dev/bin/python,$(PYTHON))
test-gpu:
	PYTHONPATH=. $(GPU_PYTHON) -m pytest -m gpu -rs tests/gpu tests/test_gpu.py
	PYTHONPATH=. $(GPU_PYTHON) benchmarks/gpu.py

# The documentation site, in site/. Without --quiet, which would hide the warnings that --strict counts.
docs: .venv-dev/.ready
	.venv-dev/bin/python -m mkdocs build --strict

# The pictures of the documentation, in docs/pictures/, from the demo's video and from benchmarks/results/.
pictures: .venv-dev/.ready demo/report.json
	PYTHONPATH=benchmarks .venv-dev/bin/python docs/pictures.py

# The promises about speed, measured on this machine; keep it quiet meanwhile.
limits: .venv-dev/.ready
	.venv-dev/bin/python benchmarks/limits.py

# README's table and picture, from what `make demo` left.
readme: demo/report.json
	$(PYTHON) benchmarks/readme.py

demo/report.json: ; $(MAKE) demo

# The base install. ultralytics comes without its dependencies: the demo only wants its photos.
.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) --editable .
	.venv/bin/python $(PIP) --no-deps ultralytics
	touch $@

.venv-dev/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP) --constraint constraints.txt --editable '.[all,dev]'
	touch $@

clean:
	rm -rf .venv .venv-dev demo site
