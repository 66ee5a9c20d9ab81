# fastreload: `make run` shows it, `make check` proves it, `make help` lists the rest.
#
# Everything that is made lies under build/. Variables that are meant to be set, on the command line or in the
# environment: CC, CFLAGS, LDFLAGS, UWSGI, PYTHON, DEVELOPER=1 (warnings are errors), V=1 (show commands), and those
# named in the comments below.

PYTHON ?= /usr/bin/python3
UWSGI ?= uwsgi
CLANG ?= clang
PKG_CONFIG ?= pkg-config
ifeq ($(origin CC),default)
CC := gcc
endif

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all
Q := $(if $(V),,@)
ROOT := $(CURDIR)
JOBS ?= $(shell nproc 2>/dev/null || echo 1)

# The two worlds. Only the door, the room behind it, the reloading room and the Emperor's monitor know uWSGI; the rest,
# the core, needs libc (and jansson) alone.
UWSGI_SRC := $(wildcard plugin/fastreload.c plugin/door/*.c plugin/reload/*.c plugin/emperor/monitor.c)
PLUGIN_SRC := $(sort $(wildcard plugin/*.c plugin/*/*.c))
CORE_SRC := $(filter-out $(UWSGI_SRC),$(PLUGIN_SRC))
HEADERS := $(sort $(wildcard plugin/*.h plugin/*/*.h))

# A suite is a file check_<module>.c; a file <name>_oracle.c is a program that answers a script of tests; the other
# files serve the suites.
UNIT_MAIN := tests/unit/check_main.c
ORACLE_SRC := $(wildcard tests/unit/*_oracle.c)
UNIT_SRC := $(sort $(filter-out $(ORACLE_SRC),$(wildcard tests/unit/*.c)))
SUITES := $(patsubst tests/unit/check_%.c,%,$(filter-out $(UNIT_MAIN),$(filter tests/unit/check_%.c,$(UNIT_SRC))))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

# git's set of warnings, as errors, where a developer asks for it; never for users, whose compiler may be any.
WARNINGS := -Werror -Wall -Wextra -Wformat=2 -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wshadow -Wstrict-prototypes -Wundef -Wvla -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers
DEVELOPER_FLAGS := $(if $(filter-out 0,$(DEVELOPER)),$(WARNINGS))
CFLAGS ?= -O2 -g

CORE_FLAGS := -std=gnu11 -Iplugin
# Check's macros declare nothing before they define it.
TEST_FLAGS = -Wno-missing-prototypes -Ibuild/unit -DFR_TESTS_DIR='"$(ROOT)/tests"' $(JANSSON_CFLAGS) $(CHECK_CFLAGS)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# Expanded when used, not before: `make help` needs no pkg-config.
CHECK_CFLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)
JANSSON_CFLAGS = $(shell $(PKG_CONFIG) --cflags jansson)
JANSSON_LIBS = $(shell $(PKG_CONFIG) --libs jansson)

# $(call need,command): stops with one clear sentence where a command is missing.
need = command -v $(1) >/dev/null || { echo "$(1) is missing: run tests/setup check" >&2; exit 1; }

.PHONY: all
all: build/fastreload_plugin.so ## build the plugin: build/fastreload_plugin.so

.PHONY: help
help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r target text; do \
		printf '  %-18s %s\n' "$$target" "$$text"; done

# --- the plugin ------------------------------------------------------------------------------------------------

# uWSGI builds it, as it does for users without make (uwsgiplugin.py); flags reach uWSGI through the environment. Its
# own header, which uWSGI writes into .uwsgi_plugins_builder, is not ours to judge: so it is made a system header.
DOOR_FLAGS = $(CFLAGS) $(if $(DEVELOPER_FLAGS),$(DEVELOPER_FLAGS) -isystem .uwsgi_plugins_builder/)

build/fastreload_plugin.so: $(PLUGIN_SRC) $(HEADERS) $(wildcard plugin/*/*.py plugin/*/*.js) uwsgiplugin.py build/flags
	$(Q)cd build && PYTHON="$(PYTHON)" CC="$(CC)" CFLAGS="$(DOOR_FLAGS)" LDFLAGS="$(LDFLAGS)" \
		$(UWSGI) --build-plugin .. >plugin.log || { cat plugin.log >&2; rm -f $(@F); exit 1; }
	$(if $(V),@cat build/plugin.log)
	@echo "built $@"

# Changes when a flag, a compiler or uWSGI does, and so makes anew what depends on them.
FLAGS = $(CC) $(CFLAGS) $(LDFLAGS) $(DEVELOPER_FLAGS) $(UWSGI) $(shell $(UWSGI) --version 2>/dev/null)
.PHONY: FORCE
build/flags: FORCE
	@mkdir -p build
	@command -v $(UWSGI) >/dev/null || { echo "uwsgi is missing: run tests/setup build" >&2; exit 1; }
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

PLUGINDIR ?= $(shell $(UWSGI) --cflags | sed -n 's/.*-DUWSGI_PLUGIN_DIR="\\"\([^"\\]*\).*/\1/p')

.PHONY: install
MANDIR ?= /usr/share/man
install: all build/fastreload.7 ## install the plugin into uWSGI's plugin folder, and the man page (PLUGINDIR, MANDIR, DESTDIR)
	install -D -m 644 build/fastreload_plugin.so "$(DESTDIR)$(PLUGINDIR)/fastreload_plugin.so"
	install -D -m 644 build/fastreload.7 "$(DESTDIR)$(MANDIR)/man7/fastreload.7"

# The README is the only source of the text.
RST2MAN ?= $(firstword $(shell command -v rst2man rst2man.py) rst2man)
build/fastreload.7: README.rst configs/debian/man-source
	@$(call need,$(RST2MAN))
	@mkdir -p build
	$(Q)$(PYTHON) configs/debian/man-source README.rst | $(RST2MAN) --halt=warning >$@

.PHONY: man
man: build/fastreload.7 ## make the man page from the README: build/fastreload.7

# Built apart from build/fastreload_plugin.so, with the flags that Debian gives its packages.
DEBDIR ?= build/deb
.PHONY: deb
deb: ## make a Debian package of the plugin: build/deb/*.deb (DEBDIR, DEBFULLNAME, DEBEMAIL, FASTRELOAD_VERSION)
	@PYTHON="$(PYTHON)" tests/setup deb
	@$(MAKE) build/fastreload.7
	@rm -rf "$(DEBDIR)" && mkdir -p "$(DEBDIR)"
	$(Q)cd "$(DEBDIR)" && PYTHON="$(PYTHON)" CC="$(CC)" LDFLAGS="$$(dpkg-buildflags --get LDFLAGS) -Wl,-z,now" \
		CFLAGS="$$(dpkg-buildflags --get CPPFLAGS) $$(dpkg-buildflags --get CFLAGS)" \
		$(UWSGI) --build-plugin "$(ROOT)" >plugin.log || { cat plugin.log >&2; exit 1; }
	@UWSGI="$(UWSGI)" configs/debian/make-deb "$(DEBDIR)/fastreload_plugin.so" build/fastreload.7 "$(DEBDIR)"

# --- running it ------------------------------------------------------------------------------------------------

.PHONY: run
run: ## install what is missing, build, and serve an example project on http://127.0.0.1:8000 (PORT)
	@PYTHON="$(PYTHON)" tests/setup run
	@$(MAKE) run-ready
	@echo
	@echo "    open        http://127.0.0.1:$(or $(PORT),8000)/"
	@echo "    edit        build/run/pages/views.py, save it, and load the page again"
	@echo "    end it      with Ctrl-C"
	@echo
	@cd build/run && exec $(UWSGI) "$(ROOT)/configs/django.ini"

.PHONY: run-ready
run-ready: all build/run/db.sqlite3
	@:

# The project to edit is a copy, made once and never touched again; `rm -r build/run` gives a new one.
build/run/manage.py:
	@rm -rf build/run.new && mkdir -p build && cp -R tests/project build/run.new && mv build/run.new build/run

# The database gets its name when it is complete. Until then an interrupted start begins again.
build/run/db.sqlite3: | build/run/manage.py
	@rm -f $@.new
	@cd build/run && export SHOP_DATABASE="$(ROOT)/$@.new" && \
		$(PYTHON) manage.py migrate --verbosity 0 && $(PYTHON) manage.py filldemo --verbosity 0
	@mv $@.new $@

.PHONY: bench
bench: ## measure the time from a save to the first answer by new code, and what it costs, beside others (BENCH_ARGS, for instance BENCH_ARGS='--saves 50'; EMPEROR_ARGS, BROWSER_ARGS)
	@PYTHON="$(PYTHON)" tests/setup bench
	@$(MAKE) all
	@$(TEST_ENV) $(PYTHON) tests/bench/bench.py $(BENCH_ARGS)
	@$(TEST_ENV) $(PYTHON) tests/bench/emperor.py $(EMPEROR_ARGS)
	@$(TEST_ENV) $(PYTHON) tests/bench/browser.py $(BROWSER_ARGS)

.PHONY: bench-browser
bench-browser: ## measure the time from a save until an open page has painted it, beside others (BROWSER_ARGS)
	@PYTHON="$(PYTHON)" tests/setup bench
	@$(MAKE) all
	@$(TEST_ENV) $(PYTHON) tests/bench/browser.py $(BROWSER_ARGS)

# --- all checks ------------------------------------------------------------------------------------------------

CHECKS := lint check-worlds check-symbols check-unit check-patterns check-asan check-valgrind check-integration

.PHONY: check
check: ## install what is missing, then everything below: lint, unit tests three ways, integration tests
	@PYTHON="$(PYTHON)" tests/setup check
	@$(MAKE) -j$(JOBS) all
	@for check in $(CHECKS); do echo "== $$check"; $(MAKE) $$check || { echo "== $$check: FAILED" >&2; exit 1; }; done
	@echo "== all checks passed"

# --- lint ------------------------------------------------------------------------------------------------------

COMPILERS = gcc $(shell command -v $(CLANG) >/dev/null && echo $(CLANG))
SHELL_SCRIPTS = $(shell grep -lsE -m1 '^\#!(/bin/|/usr/bin/env )(ba)?sh' .ci/* configs/*/* tests/* tests/*/*)

.PHONY: lint
lint: ## warnings of gcc and clang as errors, cppcheck, shellcheck
	@$(call need,gcc); $(call need,cppcheck); $(call need,shellcheck); $(call need,$(PKG_CONFIG))
	@$(MAKE) -j$(JOBS) $(foreach cc,$(COMPILERS),lint-$(cc))
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches -Iplugin $(PLUGIN_SRC) $(UNIT_SRC)
	$(Q)shellcheck $(SHELL_SCRIPTS)
	@echo "clean: $(COMPILERS), cppcheck, shellcheck"

.PHONY: lint-gcc lint-$(CLANG)
lint-gcc: $(patsubst %.c,build/lint/gcc/%.o,$(PLUGIN_SRC) $(UNIT_SRC) $(ORACLE_SRC))
lint-$(CLANG): $(patsubst %.c,build/lint/$(CLANG)/%.o,$(PLUGIN_SRC) $(UNIT_SRC) $(ORACLE_SRC) $(FUZZ_SRC))

# uWSGI's flags are quoted for a shell; compilers read such a file with the same quotes. Its tables of options have
# `char *` where they mean `const char *`.
UWSGI_FLAGS := @build/include/uwsgi.flags -isystem build/include
UWSGI_WARNINGS := -Wno-write-strings

build/include/uwsgi.h: build/flags
	@mkdir -p $(@D)
	@$(UWSGI) --dot-h 2>/dev/null >$@
	@$(UWSGI) --cflags 2>/dev/null >$(@D)/uwsgi.flags

define lint_rules
build/lint/$(1)/plugin/%.o: plugin/%.c build/flags $$(if $$(UWSGI_SRC),build/include/uwsgi.h)
	@mkdir -p $$(@D)
	$$(Q)$(1) $$(if $$(filter $$<,$$(UWSGI_SRC)),$$(UWSGI_FLAGS)) -O2 $$(CORE_FLAGS) $$(WARNINGS) \
		$$(if $$(filter $$<,$$(UWSGI_SRC)),$$(UWSGI_WARNINGS)) -MMD -MP -c -o $$@ $$<
build/lint/$(1)/tests/%.o: tests/%.c build/flags build/unit/suites.inc
	@mkdir -p $$(@D)
	$$(Q)$(1) -O2 $$(CORE_FLAGS) $$(WARNINGS) $$(TEST_FLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach cc,gcc $(CLANG),$(eval $(call lint_rules,$(cc))))

# --- what must hold of the objects -----------------------------------------------------------------------------

# What can tell the time or wait for it.
CLOCK_SYMBOLS := clock|clock_gettime|clock_nanosleep|ftime|gettimeofday|nanosleep|sleep|time|timerfd_[a-z]+|timespec_get|usleep

.PHONY: check-worlds
check-worlds: $(patsubst plugin/%.c,build/unit/plugin/%.o,$(filter plugin/decide/%,$(CORE_SRC))) ## only the door, plugin/door, plugin/reload and the Emperor's monitor know uWSGI; plugin/decide knows no clock
	@found=$$(grep -nrE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^">]*/)?uwsgi\.h[">]' plugin \
		| grep -vE '^plugin/(fastreload\.c|door/|reload/|emperor/monitor\.c)'); \
	[ -z "$$found" ] || { echo "uwsgi.h is for plugin/fastreload.c, plugin/door/, plugin/reload/ and plugin/emperor/monitor.c only:" >&2; echo "$$found" >&2; exit 1; }
	@found=$$($(if $^,nm -A -u $^,true) | grep -E ' U ($(CLOCK_SYMBOLS))(@|$$)'); \
	[ -z "$$found" ] || { echo "plugin/decide reads a clock:" >&2; echo "$$found" >&2; exit 1; }
	@echo "uwsgi.h where it may be, no clock in plugin/decide"

.PHONY: check-symbols
check-symbols: build/fastreload_plugin.so ## the plugin exports fastreload_plugin and nothing else
	@exported=$$(nm -D --defined-only $< | awk '{ print $$NF }' | tr '\n' ' '); \
	[ "$$exported" = "fastreload_plugin " ] || { echo "$< exports: $$exported" >&2; exit 1; }
	@echo "fastreload_plugin is the only exported symbol"

# --- unit tests ------------------------------------------------------------------------------------------------

# tests/unit/allocator.c makes memory run out where a test asks for that.
FAILING_ALLOCATOR := $(foreach name,malloc calloc realloc strdup strndup,-Wl,--wrap=$(name))

# $(call unit_rules,variant,flags): the core and the suites, built with these flags into build/<variant>/check.
define unit_rules
build/$(1)/check: $$(patsubst %.c,build/$(1)/%.o,$$(CORE_SRC) $$(UNIT_SRC))
	$$(Q)$$(CC) $(2) $$(LDFLAGS) $$(FAILING_ALLOCATOR) -o $$@ $$^ $$(CHECK_LIBS) $$(JANSSON_LIBS)
build/$(1)/%_oracle: build/$(1)/tests/unit/%_oracle.o $$(patsubst %.c,build/$(1)/%.o,$$(CORE_SRC))
	$$(Q)$$(CC) $(2) $$(LDFLAGS) -o $$@ $$^ $$(JANSSON_LIBS)
build/$(1)/plugin/%.o: plugin/%.c build/flags
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $(2) $$(CORE_FLAGS) $$(DEVELOPER_FLAGS) -MMD -MP -c -o $$@ $$<
build/$(1)/tests/%.o: tests/%.c build/flags build/unit/suites.inc
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $(2) $$(CORE_FLAGS) $$(DEVELOPER_FLAGS) $$(TEST_FLAGS) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call unit_rules,unit,))
$(eval $(call unit_rules,asan,$(SANITIZE)))
build/unit/plugin/browser/script.o build/asan/plugin/browser/script.o: plugin/browser/client.js
.SECONDARY:

# A line for each suite; written anew only when a suite comes or goes.
build/unit/suites.inc: FORCE
	@mkdir -p $(@D)
	@printf '$(foreach suite,$(SUITES),FR_SUITE(fr_check_$(suite)_suite)\n)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.PHONY: check-unit
check-unit: build/unit/check ## unit tests (CK_RUN_SUITE, CK_RUN_CASE choose)
	@build/unit/check

.PHONY: check-asan
check-asan: build/asan/check ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=print_stacktrace=1 CK_TIMEOUT_MULTIPLIER=5 build/asan/check

.PHONY: check-valgrind
check-valgrind: build/unit/check ## the same under valgrind, in one process
	@$(call need,valgrind)
	@CK_FORK=no CK_TIMEOUT_MULTIPLIER=20 valgrind --quiet --error-exitcode=1 --leak-check=full \
		--show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect build/unit/check

.PHONY: check-patterns
ORACLE_ROUNDS ?= 500
check-patterns: build/unit/pattern_oracle build/unit/ignore_oracle ## compare patterns and ignore files with git's (ORACLE_ROUNDS, SEED)
	@$(call need,git)
	@$(PYTHON) -B tests/unit/compare_gitignore.py build/unit/pattern_oracle --rounds $(ORACLE_ROUNDS) $(if $(SEED),--seed $(SEED))
	@$(PYTHON) -B tests/unit/compare_ignore.py build/unit/ignore_oracle --rounds $(ORACLE_ROUNDS) $(if $(SEED),--seed $(SEED))

# --- integration tests -----------------------------------------------------------------------------------------

TEST_ENV = FASTRELOAD_PLUGIN_DIR="$(ROOT)/build" FASTRELOAD_UWSGI="$(UWSGI)" PYTHONDONTWRITEBYTECODE=1

.PHONY: check-integration
# They wait more than they compute, so some run at the same time where pytest-xdist is there. What fails only now and then, when others have the processors, is shown, and has to pass when asked again,
# alone.
PYTEST = $(TEST_ENV) $(PYTHON) -m pytest -q -o cache_dir="$(ROOT)/build/pytest" tests/integration tests/bench $(PYTEST_ARGS)
TEST_JOBS ?= $(shell echo $$(($(JOBS) + $(JOBS) / 2)))
AT_ONCE = $(if $(shell $(PYTHON) -c 'import xdist' 2>/dev/null && echo yes),-n $(TEST_JOBS))
check-integration: build/fastreload_plugin.so ## real uWSGI, real saves (TEST_JOBS at once; PYTEST_ARGS, for instance PYTEST_ARGS='-k vim')
	@$(PYTEST) $(AT_ONCE) || { echo "== once more, those that failed:"; $(PYTEST) --last-failed; }

# --- every night -----------------------------------------------------------------------------------------------

# What takes too long for each change. A target of its own for each; check-nightly makes them all.
NIGHTLY := check-oracle check-differential

.PHONY: check-nightly
check-nightly: ## what takes hours: all of the above, and then random edits by the thousand (FR_EDITS)
	@$(MAKE) check
	@for check in $(NIGHTLY); do echo "== $$check"; $(MAKE) $$check || { echo "== $$check: FAILED" >&2; exit 1; }; done
	@echo "== all nightly checks passed"

.PHONY: check-matrix
MATRIX ?= bookworm trixie
check-matrix: ## all checks against each uWSGI that Debian has, in fresh roots: 2.0.21 and 2.0.28 (MATRIX, FR_ROOT_CACHE)
	@for suite in $(MATRIX); do tests/fresh-root $$suite check || exit 1; done

.PHONY: check-oracle
ORACLE_OPERATIONS ?= 1000
check-oracle: build/unit/check ## random operations on files: each backend tells what a comparison of all contents tells (ORACLE_OPERATIONS rounds, FR_ORACLE_SEED)
	@FR_ORACLE_SEED=$${FR_ORACLE_SEED:-$$(date +%s)} CK_RUN_SUITE=random FR_ORACLE_ROUNDS=$(ORACLE_OPERATIONS) build/unit/check
	@CK_RUN_SUITE=watcher FR_WATCHMAN_SCENARIOS=1 build/unit/check

.PHONY: check-differential
FR_EDITS ?= 5000
check-differential: build/fastreload_plugin.so ## after random edits, a reload answers what a fresh start answers (FR_EDITS, FR_DIFF_SEED)
	@FR_DIFF_EDITS=$(FR_EDITS) $(PYTEST) -k differential

# --- for developers --------------------------------------------------------------------------------------------

.PHONY: format
format: ## format all C files with clang-format
	@command -v clang-format >/dev/null || { echo "clang-format is missing" >&2; exit 1; }
	$(Q)clang-format -i $(PLUGIN_SRC) $(HEADERS) $(sort $(wildcard tests/*/*.c tests/*/*.h))

# Each tests/fuzz/fuzz_<name>.c has an LLVMFuzzerTestOneInput; tests/fuzz/corpus/<name>/ holds inputs to begin with.
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SRC))
FUZZ_SECONDS ?= 60
FUZZ_FLAGS = -g -O1 -fsanitize=fuzzer-no-link $(SANITIZE) $(CORE_FLAGS) $(JANSSON_CFLAGS)

.PHONY: fuzz
fuzz: ## fuzz the parsers with clang's libFuzzer (FUZZ: some of them by name, FUZZ_SECONDS each)
	@PYTHON="$(PYTHON)" tests/setup fuzz
	@$(MAKE) -j$(JOBS) $(FUZZ:%=build/fuzz/fuzz_%)
	@for name in $(FUZZ); do mkdir -p build/fuzz/corpus/$$name; echo "== fuzz $$name"; \
		(cd build/fuzz && ./fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
			corpus/$$name $$(ls -d ../../tests/fuzz/corpus/$$name 2>/dev/null)) || exit 1; done

build/fuzz/%.o: %.c $(HEADERS) build/flags
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -c -o $@ $<

build/fuzz/core.a: $(CORE_SRC:%.c=build/fuzz/%.o)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/core.a
	$(Q)$(CLANG) -g -fsanitize=fuzzer $(SANITIZE) -o $@ $^ $(JANSSON_LIBS)

.PHONY: clean distclean
clean: ## remove what was built, but not the project in build/run
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name run -exec rm -rf {} +

distclean: ## remove build/ with everything in it
	@rm -rf build

-include $(wildcard build/*/plugin/*.d build/*/plugin/*/*.d build/*/tests/*/*.d)
-include $(wildcard build/lint/*/plugin/*.d build/lint/*/plugin/*/*.d build/lint/*/tests/*/*.d)
