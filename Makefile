# phi_guard: a PGXS extension.  make, make install, make installcheck as usual;
# make check, demo, bench, check-matrix are in test/test.mk.

EXTENSION = phi_guard
MODULE_big = phi_guard
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" phi_guard.control)

# The folders of src/ in dependency order: a file includes headers of its own
# folder and of the folders before it (test/lint/layers.sh).
CORE = status bytes xaes mac envelope image merkle codes resources directive directive_compile directive_match \
	directive_parse decide forms forms_text forms_code normal ff1 fpe scrub scrub_groups scrub_number scrub_code scrub_place \
	scrub_person scrub_names known guess utf8 json json_text jwk jws token totp ed25519 note note_text tlog leaf
PLATFORM = errors shmem secmem random catalog owner nesting registry registry_read keytext stored invalidate
KEYRING = provider kek wrap keyring subject_store subject_key rotate tokens
SESSION = context identity membership portal session jwks login revocation uses attempts stepup
AUDIT = apply change checkpoint cursor directory closed denial disclosure durable event event_leaf export gone guard \
	holding image log queue reads login proof reserve retention seal serve spool verify verify_checkpoint \
	verify_damage verify_window worker
CONSENT = access attributes changes codes directives entries evaluate explain fhir_compile fhir_json \
	fhir_provision fhir_prune fhir_read fhir_values fhir_write glass import label_row labels map permitted planner \
	record relation_read relations row rules share simulate situation step_up store stored_row subject_call \
	support verdict
TYPES = inner sealing search search_rotate search_values search_stats search_plan types convert trigger form \
	pseudonym recipient reveal scrubbed reseal usage rows values adopt pgcrypto adopt_pgp shred history history_row
PROTECT = suggest
REDACT = changed foreign intact guards redact upkeep write scrub_text write_statement

OBJS = src/phi_guard.o $(CORE:%=src/core/%.o) $(PLATFORM:%=src/platform/%.o) $(KEYRING:%=src/keyring/%.o) \
	$(SESSION:%=src/session/%.o) $(AUDIT:%=src/audit/%.o) $(CONSENT:%=src/consent/%.o) $(TYPES:%=src/types/%.o) \
	$(REDACT:%=src/redact/%.o) $(PROTECT:%=src/protect/%.o)

# The encrypted types, made from one template, and the neighbors of their plain
# types that may be assigned to them: plain type, storage; from, plain type.
ENCRYPTED = text:external date:main timestamptz:main numeric:main jsonb:external bytea:external
ASSIGNED = varchar:text bpchar:text timestamp:date timestamptz:date date:timestamptz timestamp:timestamptz \
	smallint:numeric integer:numeric bigint:numeric real:numeric float8:numeric json:jsonb

# The parts of the install script, in the order they run.
SQL_PARTS = src/platform/platform.sql src/keyring/keyring.sql src/session/session.sql \
	src/session/membership.sql src/audit/audit.sql src/audit/evidence.sql src/audit/retention.sql \
	src/audit/accounting.sql src/audit/audit_event.sql src/audit/second_opinion.sql src/consent/consent.sql src/consent/directive.sql \
	src/consent/labels.sql src/consent/relations.sql src/consent/step_up.sql src/consent/glass.sql \
	src/consent/self.sql src/consent/simulate.sql src/types/types.sql build/encrypted_types.sql \
	src/types/pseudonym.sql src/types/recipient.sql src/types/search.sql src/types/history.sql \
	src/redact/redact.sql src/redact/upkeep.sql src/redact/profile.sql src/protect/classify.sql \
	src/protect/plan.sql src/protect/protect.sql src/protect/rotation.sql src/protect/retag.sql \
	src/protect/adopt.sql src/protect/adopt_pgp.sql src/protect/shred.sql src/protect/suggest.sql \
	src/protect/anonymity.sql src/protect/release.sql src/protect/duty.sql

# The offline verifier: core/ alone, no server's header.
VERIFY = build/phi_verify
VERIFY_CORE = status bytes mac merkle utf8 ed25519 note note_text tlog leaf
VERIFY_SOURCES = src/tools/phi_verify.c src/tools/check_export.c $(VERIFY_CORE:%=src/core/%.c)

DATA_built = phi_guard--$(EXTVERSION).sql
DATA = $(wildcard $(srcdir)/sql/upgrade/phi_guard--*--*.sql)
EXTRA_CLEAN = phi_guard--$(EXTVERSION).sql build
PG_CPPFLAGS = -I$(srcdir)/src
# Our own functions call each other directly, and nobody else's by the same name.
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-fno-semantic-interposition
SHLIB_LINK = -lcrypto -Wl,-Bsymbolic-functions

REGRESS = $(shell cat $(srcdir)/test/schedule 2>/dev/null)
REGRESS_OPTS = --inputdir=$(srcdir)

PG_CONFIG ?= pg_config

# The test targets are scripts that install what they need and call make again;
# they do without PGXS, which a fresh machine does not have yet.
TEST_TARGETS = check demo bench bench-% check-%
ifeq ($(filter-out $(TEST_TARGETS),$(or $(MAKECMDGOALS),all)),)
include test/test.mk
else

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

phi_guard--$(EXTVERSION).sql: $(SQL_PARTS) phi_guard.control Makefile
	@printf '%s\n' '\echo Use "CREATE EXTENSION phi_guard" to load this file. \quit' > $@.tmp
	cat $(SQL_PARTS) >> $@.tmp
	mv $@.tmp $@

build/encrypted_types.sql: src/types/encrypted_type.sql.in src/types/assignment_cast.sql.in Makefile
	@mkdir -p build
	@for type in $(ENCRYPTED); do sed -e "s/@ENCRYPTED@/encrypted_$${type%:*}/g" \
		-e "s/@PLAIN@/$${type%:*}/g" -e "s/@STORAGE@/$${type#*:}/g" src/types/encrypted_type.sql.in; \
	done > $@.tmp
	@for cast in $(ASSIGNED); do sed -e "s/@FROM@/$${cast%:*}/g" -e "s/@PLAIN@/$${cast#*:}/g" \
		src/types/assignment_cast.sql.in; done >> $@.tmp
	@mv $@.tmp $@

$(OBJS): $(wildcard src/*/*.h)

all: $(VERIFY)
install: install-verify
uninstall: uninstall-verify

$(VERIFY): $(VERIFY_SOURCES) $(wildcard src/core/*.h src/tools/*.h)
	@mkdir -p $(@D)
	$(CC) -std=c11 -O2 -Wall -Wextra -Isrc $(VERIFY_SOURCES) -lcrypto -o $@

install-verify: $(VERIFY)
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) $(VERIFY) '$(DESTDIR)$(bindir)/phi_verify'

uninstall-verify:
	rm -f '$(DESTDIR)$(bindir)/phi_verify'

.PHONY: install-verify uninstall-verify

endif
