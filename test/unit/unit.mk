# Unit tests, fuzz harnesses and the benchmark of src/core: no server, no PGXS.
# Paths are relative to the project root.  Works alone, too:
#
#     make -f test/unit/unit.mk check-unit check-fuzz bench-core bench-scrub [CC=clang]
#
# PHI_SHARED names the folder of the shared data; tests that miss it are skipped.

ifndef PHI_UNIT_MK
PHI_UNIT_MK = 1

CC ?= cc
PHI_SHARED ?= ../shared/data

UNIT_OUT = build/unit
UNIT_CORE = $(wildcard src/core/*.c)
UNIT_TESTS = $(wildcard test/unit/test_*.c)
UNIT_HEADERS = $(wildcard src/core/*.h test/unit/*.h)
UNIT_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_FLAGS = -std=c11 -O1 -g $(UNIT_SANITIZE) -Wall -Wextra -Werror -Isrc -Itest/unit
UNIT_CORE_OBJECTS = $(UNIT_CORE:src/core/%.c=$(UNIT_OUT)/core/%.o)
UNIT_PROGRAMS = $(UNIT_TESTS:test/unit/%.c=$(UNIT_OUT)/%)

.PHONY: check-unit bench-core bench-scrub

# Every program runs, whatever the others say; the status is that of them all.
check-unit: $(UNIT_PROGRAMS)
	@failed=0; \
	for program in $(UNIT_PROGRAMS); do \
		echo "# $${program##*/}"; \
		PHI_SHARED='$(PHI_SHARED)' PHI_VECTORS=test/vectors $$program || failed=1; \
	done; \
	exit $$failed

$(UNIT_OUT)/core/%.o: src/core/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) -c $< -o $@

$(UNIT_OUT)/%.o: test/unit/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) -c $< -o $@

# What phi_verify checks exports with is tested as core is.
$(UNIT_OUT)/check_export.o: src/tools/check_export.c src/tools/check_export.h $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) -c $< -o $@

$(UNIT_OUT)/libcore.a: $(UNIT_CORE_OBJECTS) $(UNIT_OUT)/json.o $(UNIT_OUT)/check_export.o
	@rm -f $@
	ar qcs $@ $^

$(UNIT_PROGRAMS): $(UNIT_OUT)/%: $(UNIT_OUT)/%.o $(UNIT_OUT)/libcore.a
	$(CC) $(UNIT_FLAGS) $(UNIT_LINK) $^ -lcrypto -o $@

# faults.c stands between core and every libcrypto function that can fail, or gives or takes a handle.
$(UNIT_OUT)/test_faults: $(UNIT_OUT)/faults.o
$(UNIT_OUT)/test_faults: UNIT_LINK = $(shell nm -u $(UNIT_OUT)/libcore.a | \
	sed -nE '/cleanse|memcmp|ERR_|_construct_/d; s/^ *U ([A-Z][A-Za-z0-9]*_.*)/-Wl,--wrap=\1/p' | sort -u)

# As the extension is built: optimized, without sanitizers.
build/bench/bench_core: test/bench/bench_core.c $(UNIT_CORE) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 -O2 -Wall -Wextra -Werror -Isrc $< $(UNIT_CORE) -lcrypto -o $@

bench-core: build/bench/bench_core
	@build/bench/bench_core

build/bench/scrub_recall: test/bench/scrub_recall.c test/unit/json.c $(UNIT_CORE) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 -O2 -Wall -Wextra -Werror -Isrc -Itest/unit $< test/unit/json.c $(UNIT_CORE) -lcrypto -o $@

bench-scrub: build/bench/scrub_recall
	@PHI_SHARED='$(PHI_SHARED)' build/bench/scrub_recall

.SECONDARY: $(UNIT_CORE_OBJECTS) $(UNIT_TESTS:test/unit/%.c=$(UNIT_OUT)/%.o)

include test/fuzz/fuzz.mk

endif
