#!/usr/bin/env bash
# matrix.sh [suite ...]: unit, regress, isolation and TAP tests on the PostgreSQL versions of later
# Debian releases, each in a chroot that stays in MATRIX_DIR (about 2 GB each) for the next run.
# Needs root or sudo.  Mounts are made in a mount namespace of their own and end with it.
#
# MATRIX_DIR       where the chroots are, default /var/tmp/phi_guard-matrix
# MATRIX_RELEASES  default "trixie forky": PostgreSQL 17 and 18
set -euo pipefail

[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=MATRIX_DIR,MATRIX_RELEASES,SUITE_LIMIT bash "$0" "$@"

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$here/../lib/prepare.sh"

cache=${MATRIX_DIR:-/var/tmp/phi_guard-matrix}
suites=${*:-unit regress isolation tap}
data=${PHI_SHARED:-$top/../shared/data}

# Prints the mirror that this machine's own packages come from.
debian_mirror()
{
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian|Debian|//p' | head -n 1
}

# Makes the chroot of a release where it is not there yet.
make_chroot()
{
	local release=$1 script=/usr/share/debootstrap/scripts/$1

	[ ! -d "$cache/$release" ] || return 0
	command -v debootstrap >/dev/null || apt_install debootstrap
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
	mkdir -p "$cache"
	rm -rf "$cache/$release.new"
	debootstrap --variant=minbase "$release" "$cache/$release.new" "$(debian_mirror)" "$script" \
		>"$cache/$release.log" 2>&1 || { tail -n 20 "$cache/$release.log"; return 1; }
	mv "$cache/$release.new" "$cache/$release"
}

# Copies the tree, without what was built, into a chroot and runs check.sh there.
run_release()
{
	local root=$cache/$1

	make_chroot "$1" || return 1
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	rm -rf --one-file-system "$root/srv/phi_guard"
	mkdir -p "$root/srv/phi_guard/main" "$root/srv/phi_guard/shared/data"
	tar -C "$top" -cf - --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude='./phi_guard--*.sql' . | tar -C "$root/srv/phi_guard/main" -xf - --no-same-owner
	# shellcheck disable=SC2016,SC2086
	env root="$root" data="$data" unshare --mount --pid --fork --kill-child bash -euc '
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount -t devpts devpts "$root/dev/pts"
		mount -t tmpfs tmpfs "$root/dev/shm"
		[ ! -d "$data" ] || mount --bind "$data" "$root/srv/phi_guard/shared/data"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' \
		run_release SUITE_LIMIT="${SUITE_LIMIT:-1200}" bash /srv/phi_guard/main/test/lib/check.sh $suites
}

passed=0
failed=0
for release in ${MATRIX_RELEASES:-trixie forky}; do
	echo "== Debian $release"
	log=$cache/$release.check
	mkdir -p "$cache"
	run_release "$release" 2>&1 | tee "$log" || true
	if read -r good bad < <(tail -n 1 "$log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p'); then
		passed=$((passed + good))
		failed=$((failed + bad))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
