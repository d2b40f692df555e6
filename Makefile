# make run    the server on its embedded default, in the foreground
# make test   what the tests need, then all of them          make test ARGS="-m 'not real'": the fast ones
# make check  lint, format, types, import rules              make bench: what the README's figures come from

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install -qq --disable-pip-version-check
PAGES := broadcaster/web/pages
NODE_MODULES := tests/node/node_modules/.package-lock.json
# Directories are listed too: a file that goes changes only its directory.
SOURCES := $(shell find broadcaster twisted -not -path '*__pycache__*' -not -name dropin.cache) \
	$(wildcard setup.cfg pyproject.toml README.md)

# What we need of the system, as program=package; python:X is Python's module X. Nobody's machine is changed unasked:
# only root and CI get packages installed by the way, and what is missing then is named.
VENV_PACKAGE := python:ensurepip=python3-venv
TEST_PACKAGES := $(VENV_PACKAGE) node=nodejs npm=npm chromium=chromium curl=curl openssl=openssl \
	redis-server=redis-server nginx=nginx haproxy=haproxy nats-server=nats-server systemd-analyze=systemd \
	file:/usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream
MAY_INSTALL := [ "$$(id -u)" = 0 ] || [ "$$CI" = true ]

.NOTPARALLEL:
.PHONY: run test test-deps test-deps-if-allowed check bench clean

run: $(PAGES)/socket.io.js .venv/installed
	@exec $(BIN)/twistd -n --pidfile= broadcaster $(ARGS)

test: test-deps-if-allowed .venv/test .venv/python-socketio-4 $(NODE_MODULES)
	@$(BIN)/pytest $(ARGS)

check: .venv/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/test
	$(BIN)/python benchmarks/run.py $(ARGS)

clean:
	rm -rf .venv build *.egg-info tests/node/node_modules $(PAGES)/socket.io.js*
	find . -name __pycache__ -prune -exec rm -rf {} +

test-deps:
	@.ci/system_packages $(TEST_PACKAGES)

test-deps-if-allowed:
	@if $(MAY_INSTALL); then .ci/system_packages $(TEST_PACKAGES); fi

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "broadcaster needs Python 3.11 or later, $(PYTHON) is not: make PYTHON=python3.12 names another" >&2; exit 1; }
	@if $(MAY_INSTALL); then .ci/system_packages $(VENV_PACKAGE); fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# A wheel, since an editable installation hides the twistd plugin; without build/, where setuptools keeps deleted files.
.venv/installed: .venv/made $(SOURCES)
	@rm -rf build .venv/wheel
	@touch $@.begun
	$(BIN)/pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir .venv/wheel .
	$(PIP_INSTALL) --force-reinstall --no-deps .venv/wheel/*.whl
	$(PIP_INSTALL) .venv/wheel/*.whl
	@mv $@.begun $@

.venv/test .venv/check: setup.cfg | .venv/installed
	$(PIP_INSTALL) "$$(echo .venv/wheel/*.whl)[$(@F)]"
	@touch $@

# The last that speaks Socket.IO's protocol 4, beside the one in the environment that speaks 5.
.venv/python-socketio-4: | .venv/made
	@rm -rf $@.part
	$(PIP_INSTALL) --no-deps --target $@.part python-socketio==4.6.1 python-engineio==3.14.2 six==1.17.0
	@mv $@.part $@

# Served to pages; it may fail to come, and is asked for again by the next run.
$(PAGES)/socket.io.js:
	@.ci/client_library $(@D)

# Without npm the tests that need it say so themselves.
$(NODE_MODULES): tests/node/package.json tests/node/package-lock.json
	@if command -v npm >/dev/null; then cd tests/node && npm ci --no-audit --no-fund; fi
