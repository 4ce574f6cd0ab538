# shellcheck shell=bash
# prepare.sh: packages, build and installation.  To be sourced by the test scripts.
#
# Sets PG_CONFIG (as given, else the newest server under /usr/lib/postgresql, else the one in PATH)
# and exports it.  Nothing here reads or changes a cluster of the system: PostgreSQL's packages are
# installed without their default cluster, and the extension goes to the server's library folders.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What an outer make hands on must not reach the builds: DATA, the demo's folder, is a variable of PGXS.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES DATA
export LC_ALL=C.UTF-8

die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "this step needs root or sudo: $*" >&2
		return 1
	fi
}

# Sets PG_CONFIG; fails where there is no server with headers and test programs.
find_server()
{
	if [ -z "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -V | tail -n 1)
		[ -x "$PG_CONFIG" ] || PG_CONFIG=$(command -v pg_config || true)
	fi
	export PG_CONFIG
	[ -n "$PG_CONFIG" ] && [ -x "$("$PG_CONFIG" --bindir)/initdb" ] && [ -f "$("$PG_CONFIG" --pgxs)" ]
}

# Prints the major version under test, or the one that apt would install.
server_major()
{
	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'
	else
		apt-cache show postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\).*/\1/p' | head -n 1
	fi
}

# Prints the packages of packages.txt that are not installed.
missing_packages()
{
	local package major=

	find_server || major=$(server_major)
	sed 's/#.*//' "$top/test/lib/packages.txt" | while read -r package; do
		case $package in
			'') continue ;;
			*%v*) [ -n "$major" ] || continue ;;
		esac
		package=${package//%v/$major}
		dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
	done
}

# PostgreSQL's package makes and starts a cluster when it is first installed, unless createcluster.d
# says no: a file there says so for as long as apt-get runs.
apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive sh -eu -c '
		dir=/etc/postgresql-common/createcluster.d
		own=$dir/phi_guard-check.conf
		trap "rm -f $own; rmdir -p --ignore-fail-on-non-empty $dir 2>/dev/null || :" EXIT
		mkdir -p $dir
		echo "create_main_cluster = false" >$own
		apt-get install -y -q --no-install-recommends -o Acquire::Retries=3 "$@"' apt_install "$@"
}

# Installs what is missing; touches no network where nothing is.
install_packages()
{
	local missing

	if command -v apt-get >/dev/null; then
		find_server || [ -n "$(server_major)" ] || as_root apt-get update -q
		missing=$(missing_packages)
	fi
	if [ -n "${missing:-}" ]; then
		# shellcheck disable=SC2086
		echo "installing:" $missing
		# shellcheck disable=SC2086
		apt_install $missing || { as_root apt-get update -q && apt_install $missing; } ||
			die "could not install:" $missing
	fi
	find_server || die "needs PostgreSQL with its headers: set PG_CONFIG"
}

# Builds the extension, anew where the objects are those of another server, and installs it.
build_and_install()
{
	local stamp=$top/build/server version sudo=

	version=$("$PG_CONFIG" --version)
	if [ -f "$stamp" ] && [ "$(cat "$stamp")" != "$version" ]; then
		make -s -C "$top" PG_CONFIG="$PG_CONFIG" clean || return 1
	fi
	mkdir -p "$top/build" && echo "$version" >"$stamp"
	make -s -C "$top" -j "$(nproc)" PG_CONFIG="$PG_CONFIG" all || return 1
	[ -w "$("$PG_CONFIG" --pkglibdir)" ] || sudo=as_root
	$sudo make -s -C "$top" PG_CONFIG="$PG_CONFIG" install
}
