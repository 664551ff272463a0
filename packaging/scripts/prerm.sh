#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	for unit in @UNITS@; do
		deb-systemd-invoke stop "$unit" >/dev/null || true
	done
fi
