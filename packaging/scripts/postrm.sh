#!/bin/sh
set -e
#include common.sh

case "$1" in
remove)
	remove_made
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
	fi
	;;
purge)
	remove_made
	purge_all
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge @UNITS@ >/dev/null || true
	fi
	;;
esac
