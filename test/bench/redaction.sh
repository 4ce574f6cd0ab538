# shellcheck shell=bash
# redaction.sh: forms of values.  To be sourced by bench.sh.
#
# What the scrubber of free text finds in 1,500 labeled notes of the shared data, without being told
# anything of the people in them.

make -s -C "$top" -f test/unit/unit.mk bench-scrub
