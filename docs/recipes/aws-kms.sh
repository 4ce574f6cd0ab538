#!/bin/sh
# aws-kms.sh key folder: the key-encryption keys, kept as files that only a key of AWS KMS decrypts.
#
# Each file kek.N in the folder is version N; its plaintext, 32 random bytes, was never outside of KMS until it
# is used here. Make version 1, and later 2:
#	aws kms generate-data-key-without-plaintext --key-id alias/phi_guard --number-of-bytes 32 \
#		--encryption-context application=phi_guard,version=1 --query CiphertextBlob --output text |
#		base64 -d > /etc/phi_guard/kek.1
# postgresql.conf:
#	phi.kek_command = '/usr/local/lib/phi_guard/aws-kms.sh alias/phi_guard /etc/phi_guard'
# The credentials are those of the instance's role, which needs kms:Decrypt for this key and context.
set -eu

[ $# -eq 2 ] || { echo "usage: aws-kms.sh key folder" >&2; exit 2; }
for file in "$2"/kek.*; do
	version=${file##*/kek.}
	hex=$(aws kms decrypt --key-id "$1" --ciphertext-blob "fileb://$file" \
		--encryption-context "application=phi_guard,version=$version" --query Plaintext --output text |
		base64 -d | od -An -v -tx1 | tr -d ' \n')
	[ ${#hex} -eq 64 ] || { echo "$file was not decrypted to 32 bytes" >&2; exit 1; }
	printf '%s:%s\n' "$version" "$hex"
done
