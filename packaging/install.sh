#!/bin/sh
# Installs the agent from this folder, without a network and without a package repository; needs root, a Python of 3.10
# to 3.13 and glibc.
#
#   ./install.sh [--runtime NAME]... [--python PATH]   install, or upgrade what this script installed
#   ./install.sh --uninstall                           off the box; configuration and totals stay
#   ./install.sh --purge                               off the box with everything
#   ./install.sh --list                                which runtimes are in this folder
set -eu
#include scripts/common.sh

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
list='@HOME@/installed-by-hand'

fail() {
	echo "error: $*" >&2
	exit 2
}

systemd_runs() {
	[ -d /run/systemd/system ]
}

# The runtimes that were asked for, else those that are installed, else what the box can use.
choose_runtimes() {
	if [ -n "$runtimes" ]; then
		echo "$runtimes"
		return
	fi
	for folder in '@HOME@'/components/*; do
		[ -d "$folder" ] && [ "${folder##*/}" != '@MAIN@' ] && installed="${installed:-} ${folder##*/}"
	done
	if [ -n "${installed:-}" ]; then
		echo "$installed"
	elif [ -e /etc/nv_tegra_release ] && [ -d "$here/runtimes/tensorrt" ]; then
		echo onnxruntime tensorrt
	else
		echo onnxruntime
	fi
}

check_folder() {
	[ -d "$here/files" ] || fail "expected the files of @PACKAGE@ in $here; unpack the whole archive"
	made_for=$(cat "$here/machine")
	[ "$(uname -m)" = "$made_for" ] || fail "this archive is for $made_for, the box is $(uname -m)"
	(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) || fail "the archive is damaged; fetch it again"
	for name in $1; do
		[ -d "$here/runtimes/$name" ] || fail "unknown runtime $name; expected one of: $(ls "$here/runtimes")"
	done
	if command -v dpkg-query >/dev/null && dpkg-query -W -f '${Status}' '@PACKAGE@' 2>/dev/null | grep -q ' installed'; then
		fail "the package @PACKAGE@ is installed; upgrade it with apt, or remove it first (configuration and totals stay)"
	fi
}

# A component is put in place whole; what it replaces is not read any more by what runs.
copy_components() {
	install -d -m 0755 '@HOME@/components'
	for folder in "$here/files@HOME@/components/@MAIN@" "$@"; do
		target="@HOME@/components/${folder##*/}"
		rm -rf "$target.new"
		cp -R "$folder" "$target.new"
		rm -rf "$target"
		mv "$target.new" "$target"
	done
}

copy_files() {
	(cd "$here/files" && find . '(' -type f -o -type l ')' ! -path '.@HOME@/components/*' | sort) >"$list.new"
	while read -r file; do
		install -d -m 0755 "$(dirname "$file" | sed 's/^\.//')"
		cp -P "$here/files/$file" "${file#.}"
	done <"$list.new"
	cp "$here/install.sh" '@HOME@/install.sh'
	mv "$list.new" "$list"
}

start_units() {
	systemd_runs || return 0
	systemctl daemon-reload
	for unit in @UNITS@; do
		systemctl --quiet enable "$unit"
		if [ "$1" = "$(running)" ]; then
			systemctl start "$unit" || true
		elif [ "$(systemctl is-active "$unit" || true)" = active ]; then
			systemctl restart "$unit" || go_back "$unit"
		else
			systemctl restart "$unit" || true
		fi
	done
}

go_back() {
	say "$1 does not start any more; going back" >&2
	environment back && systemctl restart "$1"
	fail "$1 runs as before; journalctl -u $1 says why the new one did not"
}

install_all() {
	runtimes=$(choose_runtimes)
	check_folder "$runtimes"
	before=$(running)
	install -d -m 0755 '@HOME@'
	: >>"$list"
	[ -z "$python_said" ] || echo "$python_said" >'@HOME@/python'
	folders=
	for name in $runtimes; do
		folders="$folders $here/runtimes/$name@HOME@/components/$name"
	done
	# shellcheck disable=SC2086 # names of runtimes have no spaces; a folder with one is refused below
	copy_components $folders
	for folder in '@HOME@'/components/*; do
		case " @MAIN@ $runtimes " in
		*" ${folder##*/} "*) ;;
		*) rm -rf "$folder" ;;
		esac
	done
	copy_files
	make_account
	make_directories
	environment make || fail "the environment was not made; what ran before runs on"
	choose_drop_ins
	start_units "$before"
	say "installed with $runtimes"
}

uninstall() {
	[ -e "$list" ] || fail "expected $list, found none: this script did not install @PACKAGE@ here"
	if systemd_runs; then
		for unit in @UNITS@; do
			systemctl --quiet disable --now "$unit" || true
		done
	fi
	while read -r file; do
		rm -f "${file#.}"
		rmdir -p --ignore-fail-on-non-empty "$(dirname "${file#.}")" 2>/dev/null || true
	done <"$list"
	rm -rf '/usr/share/doc/@PACKAGE@'
	remove_made
	rm -rf '@HOME@'
	if systemd_runs; then
		systemctl daemon-reload
	fi
	say "removed"
}

runtimes=
python_said=
action=install_all
while [ $# -gt 0 ]; do
	case "$1" in
	--runtime)
		[ $# -gt 1 ] || fail "--runtime wants a name"
		runtimes="$runtimes $2"
		shift
		;;
	--python)
		[ $# -gt 1 ] || fail "--python wants a path"
		python_said=$2
		shift
		;;
	--uninstall) action=uninstall ;;
	--purge) action=purge ;;
	--list)
		ls "$here/runtimes"
		exit
		;;
	*) fail "unknown $1; expected --runtime NAME, --python PATH, --uninstall, --purge or --list" ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || fail "expected to be root; run: sudo $0"
case "$here" in
*' '*) fail "expected a folder without spaces in its name, got $here" ;;
esac
case "$action" in
purge)
	[ ! -e "$list" ] || uninstall
	purge_all
	say "purged"
	;;
*) "$action" ;;
esac
