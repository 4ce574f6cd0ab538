# The tests, the demo and the benchmarks.  Each target is a script that installs what is missing,
# builds, and runs on throw-away clusters; KEEP=1 keeps the files of a failed run.

-include test/unit/unit.mk

CHECK_SERVER = check-regress check-isolation check-tap

.PHONY: check check-lint $(CHECK_SERVER) check-clients check-matrix check-upgrade check-format demo bench

check:
	@bash test/lib/check.sh

check-lint:
	@status=0; for lint in layers sql words docs; do bash test/lint/$$lint.sh || status=1; done; exit $$status

$(CHECK_SERVER):
	@bash test/lib/check.sh $(@:check-%=%)

# Client programs and drivers of several languages; installs them from Debian and the npm registry.
check-clients:
	@bash test/clients/run.sh

# The same on the PostgreSQL versions of later Debian releases.
check-matrix:
	@bash test/matrix/matrix.sh

# pg_upgrade from this machine's PostgreSQL to that of a later Debian release.
check-upgrade:
	@bash test/matrix/upgrade.sh

check-format:
	@bash test/lint/format.sh

# make demo DATA=folder: a folder of Synthea's CSV files; without one the demo makes its own.
demo:
	@bash test/demo/demo.sh $(if $(DATA),'$(DATA)')

bench:
	@bash test/bench/bench.sh
