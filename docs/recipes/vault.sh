#!/bin/sh
# vault.sh mount path: the key-encryption keys from a key-value store of HashiCorp Vault.
#
# The secret has one field, keys: the lines of a key file. Make it, and add a version later:
#	echo "1:$(openssl rand -hex 32)" | vault kv put -mount=secret phi_guard keys=-
#	{ vault kv get -mount=secret -field=keys phi_guard; echo; echo "2:$(openssl rand -hex 32)"; } |
#		vault kv put -mount=secret phi_guard keys=-
# postgresql.conf:
#	phi.kek_command = 'VAULT_ADDR=https://vault.example:8200 /usr/local/lib/phi_guard/vault.sh secret phi_guard'
# The token is the one in the server's VAULT_TOKEN or in ~/.vault-token, which a Vault agent keeps fresh; a
# policy that may read this one path is enough.
set -eu

[ $# -eq 2 ] || { echo "usage: vault.sh mount path" >&2; exit 2; }
exec vault kv get -mount="$1" -field=keys "$2"
