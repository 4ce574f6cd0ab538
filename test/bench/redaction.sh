# shellcheck shell=bash
# redaction.sh: forms of values.  To be sourced by bench.sh.

remark "redaction: no figure in this release"
