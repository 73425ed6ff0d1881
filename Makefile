# `make demo` and `make test` are the two commands for users. Both create .venv first.
VENV := .venv
BIN := $(VENV)/bin
INSTALL := install --quiet --disable-pip-version-check
PIP := -m pip $(INSTALL)
# Additional index where pip looks for torch, such as PyTorch's own with CPU builds.
TORCH_INDEX :=
PIP_TORCH := $(PIP)$(if $(TORCH_INDEX), --extra-index-url $(TORCH_INDEX))
# Selection of the tests of `make packages`, as for pytest -k; all by default.
PACKAGES :=
CONFORMANCE := .venv-conformance
CONFORMANCE_FILES := $(patsubst %,tests/oracles/requirements-%.txt,rockpool sinabs xylosim)
# Supported frameworks, each in a separate environment, because their pins conflict.
ORACLES := nir104 nir108 norse rockpool sinabs snntorch spikingjelly
ORACLE := tests.oracles.frameworks
ORACLE_MODE := --check
# Releases of rockpool whose saved files are read.
RELEASES := 2.5 2.6 2.7 2.8 2.9 3.0.0 3.1.0

# Bytecode is kept even where the environment says otherwise: tests start hundreds of interpreters.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check validation fuzz campaigns saving packages notebooks conformance vectors \
	oracles oracle-spyx rockpool-releases sinabs-tests bench growth compare shared-tokens clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: $(VENV)/.test check
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPY_NUM_WORKERS=2 $(BIN)/mypy

# Compares power estimates with published readings, fails if one is off, writes docs/power.md.
validation: $(VENV)/.test
	$(BIN)/python -m validation --record

# Reads 20 000 damaged files, of which `make test` reads some hundreds.
fuzz: $(VENV)/.test
	$(BIN)/python -m pytest -s -m fuzz tests/fuzz -n 2

# Judges hundreds of networks on unseen input and prints the figures.
campaigns: $(VENV)/.test
	$(BIN)/python -m pytest -s -m campaign tests/campaigns

# Kills saves at every moment, fills the disk, lets processes save and load at once; about 900 s.
saving: $(VENV)/.test
	$(BIN)/python -m pytest -s -m saving tests/campaigns/test_saving.py

# Builds wheel and source distribution, installs them in clean environments and uses them there.
# `make packages PYTHONS='python3.12 python3.13'` tries the wheel on these as well.
packages: $(VENV)/.test
	TORCH_INDEX='$(TORCH_INDEX)' PYTHONS='$(PYTHONS)' \
		$(BIN)/python -m pytest -m packages tests/packages -k '$(PACKAGES)' --durations 6

# Runs a notebook in a Jupyter kernel and checks the output of every result.
notebooks: .venv-notebooks/.ready
	.venv-notebooks/bin/python -m pytest -p no:cacheprovider -m notebook tests/notebooks

# Compares with the simulators of other projects, in a separate environment.
conformance: $(CONFORMANCE)/.ready
	$(CONFORMANCE)/bin/python -m pytest -m conformance tests/conformance -n 2 --dist worksteal

# Records the outputs that `make test` compares with; needs the simulators of other projects.
vectors: $(CONFORMANCE)/.ready
	$(CONFORMANCE)/bin/python tests/oracles/xylo_vectors.py
	$(CONFORMANCE)/bin/python tests/oracles/xylo_ram_files.py
	$(CONFORMANCE)/bin/python tests/oracles/speck_vectors.py
	$(CONFORMANCE)/bin/python tests/oracles/speck_quantizers.py
	$(CONFORMANCE)/bin/python tests/oracles/dvs_vectors_sinabs.py
	$(CONFORMANCE)/bin/python tests/oracles/nn_vectors_sinabs.py
	$(CONFORMANCE)/bin/python -m tests.oracles.nn_states_sinabs --record
	$(CONFORMANCE)/bin/python tests/oracles/nn_vectors_rockpool.py

# Extracts every recorded network of the frameworks again and compares the results.
# `make oracles ORACLE_MODE=--record` writes what `make test` compares with; `make oracle-sinabs`
# runs one framework.
oracle-%: export OMP_NUM_THREADS = 1
oracles: $(patsubst %,oracle-%,$(ORACLES))

oracle-nir%: .venv-oracles/nir%/.ready
	.venv-oracles/nir$*/bin/python -m $(ORACLE).nir_files $(ORACLE_MODE)

# Not among the others, because jax, which spyx runs on, is as large as all of them together; it is
# asked for the processor alone.
oracle-spyx: .venv-oracles/spyx/.ready
	JAX_PLATFORMS=cpu .venv-oracles/spyx/bin/python -m $(ORACLE).spyx $(ORACLE_MODE)

oracle-sinabs: oracle-sinabs-modules oracle-sinabs-states

oracle-sinabs-modules: .venv-oracles/sinabs/.ready
	.venv-oracles/sinabs/bin/python -m $(ORACLE).nir_modules

oracle-sinabs-states: .venv-oracles/sinabs/.ready
	.venv-oracles/sinabs/bin/python -m tests.oracles.nn_states_sinabs $(ORACLE_MODE)

oracle-rockpool: oracle-rockpool-files

oracle-rockpool-files: .venv-oracles/rockpool/.ready
	.venv-oracles/rockpool/bin/python -m $(ORACLE).rockpool_json $(ORACLE_MODE)

oracle-%: .venv-oracles/%/.ready
	.venv-oracles/$*/bin/python -m $(ORACLE).$* $(ORACLE_MODE)
	.venv-oracles/$*/bin/python -m $(ORACLE).nir_importers $* $(ORACLE_MODE)
	.venv-oracles/$*/bin/python -m pytest -q -p no:cacheprovider tests/test_docs_frameworks.py

# Saves networks with each release of rockpool and compares its outputs with those of the files;
# `make rockpool-releases ORACLE_MODE=--record` writes what `make test` compares with.
rockpool-releases: $(patsubst %,rockpool-release-%,$(RELEASES))

rockpool-release-%: .venv-releases/rockpool-%/.ready
	OMP_NUM_THREADS=1 .venv-releases/rockpool-$*/bin/python -W ignore \
		-m $(ORACLE).rockpool_releases $(ORACLE_MODE)

# Runs sinabs' own tests on the layers, hooks and helpers of this project; fails if others fail than
# tests/sinabs_alias/not_supported.yaml lists.
sinabs-tests: export OMP_NUM_THREADS = 1
sinabs-tests: .venv-oracles/sinabs/.ready
	.venv-oracles/sinabs/bin/python -m tests.sinabs_alias

# Speed and memory, as ratios to simulators and hooks of other projects where there are any; fails if
# a figure is worse than the committed one by more than a stated factor, or beyond its own limit.
# `make bench GROUPS='xylo speck'` measures these alone; BENCH_OPTIONS=--record writes the figures.
GROUPS :=
BENCH_OPTIONS :=
bench: $(CONFORMANCE)/.ready
	OMP_NUM_THREADS=1 $(CONFORMANCE)/bin/python -m benchmarks $(GROUPS) $(BENCH_OPTIONS)

# Draws how the time grows with steps, samples, neurons and spikes.
growth: $(CONFORMANCE)/.ready
	OMP_NUM_THREADS=1 $(CONFORMANCE)/bin/python -m benchmarks.growth docs/growth.svg

# Compares the quantizers for Xylo with rockpool's; --record writes the figures for tests and pages.
compare: $(CONFORMANCE)/.ready
	OMP_NUM_THREADS=1 $(CONFORMANCE)/bin/python benchmarks/xylo_quantizers.py --record

# Measures the code that modules of different chip families share; fails at 20 %.
shared-tokens: $(VENV)/.test
	$(BIN)/python benchmarks/shared_tokens.py

$(VENV)/bin/python:
	python3 -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python $(PIP_TORCH) -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python $(PIP_TORCH) -c constraints.txt -e '.[test]'
	touch $@ $(VENV)/.demo

# An environment where torch, numpy and this project come from $(VENV), by way of a .pth file.
define new_environment
	$(BIN)/python -m venv --without-pip $(1)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" \
		% sysconfig.get_path("purelib"))' > $$(echo $(1)/lib/python3*/site-packages)/project.pth
endef
# pip of $(VENV) installs there: each environment's own would take as long as what it installs
PIP_INTO = $(BIN)/python -m pip --python $(1) $(INSTALL)

$(CONFORMANCE)/.ready: $(CONFORMANCE_FILES) | $(VENV)/.test
	$(call new_environment,$(@D))
	for file in $(CONFORMANCE_FILES); do \
		$(call PIP_INTO,$(@D)) --no-deps -r $$file || exit 1; \
	done
	touch $@

.venv-notebooks/.ready: tests/notebooks/requirements.txt | $(VENV)/.test
	$(call new_environment,$(@D))
	$(call PIP_INTO,$(@D)) -r $<
	touch $@

.venv-oracles/%/.ready: tests/oracles/requirements-%.txt | $(VENV)/.test
	$(call new_environment,$(@D))
	$(call PIP_INTO,$(@D)) --no-deps -r $<
	touch $@

# without samna, which rockpool requires, and without the tests that one release installs as `tests`
.venv-releases/rockpool-%/.ready: | $(VENV)/.test
	$(call new_environment,$(@D))
	$(call PIP_INTO,$(@D)) --no-deps rockpool==$*
	rm -rf $(@D)/lib/python3*/site-packages/tests
	touch $@

.PRECIOUS: .venv-oracles/%/.ready .venv-releases/rockpool-%/.ready

clean:
	rm -rf $(VENV) $(CONFORMANCE) .venv-oracles .venv-releases .venv-notebooks build dist out *.egg-info
