# What the scripts of the package and install.sh do alike; filled in by tools/packages/scripts.py.

say() {
	echo "@PACKAGE@: $*"
}

# The box's own Python: the first for which the package has wheels. A file `python` beside them names another one first.
find_python() {
	for python in $(cat '@HOME@/python' 2>/dev/null) /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 \
		/usr/bin/python3.11 /usr/bin/python3.10; do
		version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
		if [ -e "@HOME@/components/@MAIN@/requirements-$version.txt" ]; then
			echo "$python"
			return
		fi
	done
	say "expected a Python of" @HOME@/components/@MAIN@/requirements-*.txt "in /usr/bin, found none" >&2
	return 1
}

environment() {
	python=$(find_python) || return 1
	said=$("$python" -I '@HOME@/lib/environment.py' "$1" --home '@HOME@' --main '@MAIN@') || return 1
	say "$said"
}

running() {
	readlink '@HOME@/current' || true
}

make_account() {
	if ! getent group '@USER@' >/dev/null; then
		groupadd --system '@USER@'
	fi
	if ! getent passwd '@USER@' >/dev/null; then
		useradd --system --gid '@USER@' --home-dir '@STATE@' --no-create-home --shell /usr/sbin/nologin \
			--comment '@PACKAGE@' '@USER@'
	fi
	for group in @GROUPS@; do
		# The service names them, and would not start without.
		getent group "$group" >/dev/null || groupadd --system "$group"
		usermod --append --groups "$group" '@USER@'
	done
}

# A folder that is there keeps the owner and mode that somebody gave it.
make_directories() {
	[ -d '@CONFIG@' ] || install -d -m 0755 -o root -g root '@CONFIG@'
	[ -d '@STATE@' ] || install -d -m 0700 -o '@USER@' -g '@USER@' '@STATE@'
	[ -d '@CACHE@' ] || install -d -m 0700 -o '@USER@' -g '@USER@' '@CACHE@'
}

# Opens, in the closed unit, what this box's hardware and runtimes need.
choose_drop_ins() {
	[ -d '@HOME@/systemd/drop-ins' ] || return 0
	rm -rf '/usr/lib/systemd/system/@SERVICE@.d'
	packages=$(echo '@HOME@'/current/lib/python3.*/site-packages)
	for name in $(sh '@HOME@/systemd/choose-drop-ins' '@HOME@/systemd/drop-ins' "$packages"); do
		install -D -m 0644 "@HOME@/systemd/drop-ins/$name" "/usr/lib/systemd/system/@SERVICE@.d/$name"
		say "drop-in $name"
	done
}

# What was made on the box and is in no package's list; configuration and state stay.
remove_made() {
	rm -rf '@HOME@/environments' '@HOME@/current' '@HOME@/previous' '@HOME@/.lock' '@HOME@/.current.new' \
		'@HOME@/.previous.new' '/usr/lib/systemd/system/@SERVICE@.d'
	[ ! -d '@HOME@' ] || rmdir --ignore-fail-on-non-empty '@HOME@'
}

purge_all() {
	rm -rf '@STATE@' '@CACHE@'
	if [ -d '@CONFIG@' ]; then
		find '@CONFIG@' -mindepth 1 -maxdepth 1 \( @CONFIGFILES@ \) -exec rm -rf {} +
		rmdir --ignore-fail-on-non-empty '@CONFIG@'
	fi
	for unit in @UNITS@; do
		rm -rf "/etc/systemd/system/$unit.d"
	done
	if getent passwd '@USER@' >/dev/null; then
		userdel '@USER@'
	fi
	if getent group '@USER@' >/dev/null; then
		groupdel '@USER@'
	fi
}
