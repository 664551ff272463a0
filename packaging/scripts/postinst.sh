#!/bin/sh
set -e
#include common.sh

enable_units() {
	for unit in @UNITS@; do
		deb-systemd-helper unmask "$unit" >/dev/null || true
		if deb-systemd-helper --quiet was-enabled "$unit"; then
			deb-systemd-helper enable "$unit" >/dev/null || true
		else
			deb-systemd-helper update-state "$unit" >/dev/null || true
		fi
	done
}

# One that ran runs on with what is new, or else with what was before.
restart_or_back() {
	state=$(systemctl is-active "$1" || true)
	case "$state" in
	active)
		if deb-systemd-invoke restart "$1" >/dev/null; then
			return 0
		fi
		say "$1 does not start any more; going back" >&2
		if environment back && deb-systemd-invoke restart "$1" >/dev/null; then
			say "$1 runs as before; journalctl -u $1 says why the new one did not" >&2
		fi
		return 1
		;;
	activating | failed) deb-systemd-invoke restart "$1" >/dev/null || true ;;
	esac
}

# $1: what ran before, $2: whether the package is new on this box.
settle_units() {
	[ -d /run/systemd/system ] || return 0
	systemctl --system daemon-reload >/dev/null || true
	for unit in @UNITS@; do
		if [ "$2" = new ]; then
			# Passed over while there is no configuration.
			deb-systemd-invoke start "$unit" >/dev/null || true
		elif [ "$1" != "$(running)" ]; then
			restart_or_back "$unit"
		fi
	done
}

before=$(running)
case "$1" in
configure)
	make_account
	make_directories
	environment make
	choose_drop_ins
	enable_units
	if [ -n "$2" ]; then settle_units "$before" known; else settle_units "$before" new; fi
	;;
triggered)
	environment make
	choose_drop_ins
	settle_units "$before" known
	;;
abort-upgrade | abort-deconfigure | abort-remove)
	enable_units
	settle_units "$before" new
	;;
esac
