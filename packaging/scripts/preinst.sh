#!/bin/sh
set -e
if [ -e '@HOME@/installed-by-hand' ]; then
	echo "@PACKAGE@: install.sh put it here; first run @HOME@/install.sh --uninstall (configuration and totals stay)" >&2
	exit 1
fi
