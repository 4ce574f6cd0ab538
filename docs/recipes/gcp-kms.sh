#!/bin/sh
# gcp-kms.sh key folder: the key-encryption keys, kept as files that only a key of Google Cloud KMS decrypts.
#
# key is the full name, projects/P/locations/L/keyRings/R/cryptoKeys/K. Each file kek.N in the folder is version
# N; its plaintext is 32 random bytes. Make version 1, and later 2:
#	printf 'phi_guard 1' > /dev/shm/aad && openssl rand 32 | gcloud kms encrypt --key=$key --plaintext-file=- \
#		--ciphertext-file=/etc/phi_guard/kek.1 --additional-authenticated-data-file=/dev/shm/aad
# postgresql.conf:
#	phi.kek_command = '/usr/local/lib/phi_guard/gcp-kms.sh projects/... /etc/phi_guard'
# The credentials are those of the instance's service account, which needs cloudkms.cryptoKeyVersions.useToDecrypt.
set -eu

[ $# -eq 2 ] || { echo "usage: gcp-kms.sh key folder" >&2; exit 2; }
aad=$(mktemp)
trap 'rm -f "$aad"' EXIT
for file in "$2"/kek.*; do
	version=${file##*/kek.}
	printf 'phi_guard %s' "$version" >"$aad"
	hex=$(gcloud kms decrypt --key="$1" --ciphertext-file="$file" --plaintext-file=- \
		--additional-authenticated-data-file="$aad" --quiet | od -An -v -tx1 | tr -d ' \n')
	[ ${#hex} -eq 64 ] || { echo "$file was not decrypted to 32 bytes" >&2; exit 1; }
	printf '%s:%s\n' "$version" "$hex"
done
