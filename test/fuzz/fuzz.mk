# Fuzz harnesses of src/core.  With clang: libFuzzer, the corpus and then a short
# run; without: the same harness under test/fuzz/standalone.c, the corpus alone.
# Included by test/unit/unit.mk; paths are relative to the project root.

FUZZ_CLANG ?= $(shell command -v clang 2>/dev/null)
FUZZ_OUT = build/fuzz
FUZZ_HARNESSES = envelope directive scrub token checkpoint export image
FUZZ_RUNS = -runs=20000 -max_total_time=10
FUZZ_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS = -std=c11 -O1 -g -Wall -Wextra -Werror -Isrc
FUZZ_PROGRAMS = $(FUZZ_HARNESSES:%=$(FUZZ_OUT)/fuzz_%)
FUZZ_CORE = $(wildcard src/core/*.c) src/tools/check_export.c

ifneq ($(FUZZ_CLANG),)
FUZZ_BUILD = $(FUZZ_CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer $(FUZZ_SANITIZE)
FUZZ_MAIN =
else
FUZZ_BUILD = $(CC) $(FUZZ_FLAGS) $(FUZZ_SANITIZE)
FUZZ_MAIN = test/fuzz/standalone.c
endif

.PHONY: check-fuzz

# New inputs that a run finds go to build/, not to the corpus.
check-fuzz: $(FUZZ_PROGRAMS)
	@failed=0; \
	for name in $(FUZZ_HARNESSES); do \
		program=$(FUZZ_OUT)/fuzz_$$name; corpus=test/fuzz/corpus/$$name; log=$$program.log; \
		mkdir -p $(FUZZ_OUT)/found/$$name; \
		if $$program $$corpus/* >$$log 2>&1 && \
			{ test -z '$(FUZZ_CLANG)' || \
			  $$program $(FUZZ_RUNS) -artifact_prefix=$(FUZZ_OUT)/ \
				$(FUZZ_OUT)/found/$$name $$corpus >>$$log 2>&1; }; then \
			echo "ok - fuzz $$name: $$(ls $$corpus | wc -l) inputs replayed$(if $(FUZZ_CLANG),$(comma) $(FUZZ_RUNS), only: no clang)"; \
		else \
			echo "not ok - fuzz $$name: see $$log"; tail -n 20 $$log; failed=1; \
		fi; \
	done; \
	exit $$failed

comma := ,

$(FUZZ_OUT)/fuzz_%: test/fuzz/fuzz_%.c $(FUZZ_CORE) test/fuzz/standalone.c $(wildcard src/core/*.h)
	@mkdir -p $(@D)
	$(FUZZ_BUILD) $< $(FUZZ_CORE) $(FUZZ_MAIN) -lcrypto -o $@
