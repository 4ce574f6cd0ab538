# shellcheck shell=bash
# search.sh: equality through an index.  To be sourced by bench.sh.

remark "search: no figure in this release"
