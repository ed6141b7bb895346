# shellcheck shell=bash
# What up.sh and down.sh share: the settings, and processes with pid files.
# It is sourced, and changes nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
fail() {
	printf 'gatehouse: %s\n' "$*" >&2
	exit 1
}

# settings takes each setting from the environment, else from the last start,
# else its default. Names begin with GATEHOUSE_ because the services refuse
# unknown names with their own prefixes.
settings() {
	run_dir=${GATEHOUSE_RUN_DIR:-$root/.run}
	case $run_dir in /*) ;; *) run_dir=$PWD/$run_dir ;; esac
	local name value
	while IFS='=' read -r name value; do
		[ -n "${!name:-}" ] || printf -v "$name" '%s' "$value"
	done < <(
		[ ! -f "$run_dir/settings" ] || cat "$run_dir/settings"
		cat <<-DEFAULTS
			GATEHOUSE_HOST=127.0.0.1
			GATEHOUSE_GATEWAYS=3
			GATEHOUSE_GATEWAY_PORT=8080
			GATEHOUSE_GATEWAY_OPS_PORT=9080
			GATEHOUSE_AUTH_SERVICES=2
			GATEHOUSE_AUTH_PORT=8181
			GATEHOUSE_AUTH_OPS_PORT=9181
			GATEHOUSE_USER_PORT=8281
			GATEHOUSE_USER_OPS_PORT=9281
			GATEHOUSE_EXAMPLE_PORT=8381
			GATEHOUSE_MAILBOX_PORT=8382
			GATEHOUSE_SMTP_PORT=8383
			GATEHOUSE_POSTGRES_URL=postgres://$(id -un)@127.0.0.1:5432/postgres?sslmode=disable
			GATEHOUSE_AUTH_DATABASE=gatehouse_auth
			GATEHOUSE_USER_DATABASE=gatehouse_users
			GATEHOUSE_ADMIN_EMAIL=admin@example.com
			NATS_URL=nats://127.0.0.1:4222
			NATS_PREFIX=gatehouse_up
			REDIS_URL=redis://127.0.0.1:6379/0
			REDIS_PREFIX=gatehouse_up
		DEFAULTS
	)
	for name in "$GATEHOUSE_AUTH_DATABASE" "$GATEHOUSE_USER_DATABASE"; do
		[[ $name =~ ^[a-z_][a-z0-9_]*$ ]] || fail "the database name '$name' is not lower-case letters, digits and underscores"
	done
}

# remember keeps the settings for the next start and for the end.
remember() {
	local name
	for name in GATEHOUSE_{HOST,GATEWAYS,GATEWAY_PORT,GATEWAY_OPS_PORT,AUTH_SERVICES,AUTH_PORT,AUTH_OPS_PORT,USER_PORT,USER_OPS_PORT} \
		GATEHOUSE_{EXAMPLE_PORT,MAILBOX_PORT,SMTP_PORT,POSTGRES_URL,AUTH_DATABASE,USER_DATABASE,ADMIN_EMAIL} \
		NATS_{URL,PREFIX} REDIS_{URL,PREFIX}; do
		printf '%s=%s\n' "$name" "${!name}"
	done >"$run_dir/settings"
}

# database_url gives the URL of a database on the same server.
database_url() { sed -E "s#^(postgres(ql)?://[^/]*/)[^?]*#\1$1#" <<<"$GATEHOUSE_POSTGRES_URL"; }

# sql runs a statement on the server.
sql() { PGCONNECT_TIMEOUT=5 PGOPTIONS="--client-min-messages=warning" psql "$GATEHOUSE_POSTGRES_URL" -v ON_ERROR_STOP=1 -qtAXc "$1"; }

# address_of gives the host and the port of a URL, with a space between them.
address_of() {
	local rest=${1#*://}
	rest=${rest%%[/?,]*}
	rest=${rest##*@}
	say "${rest%:*}" "${rest##*:}"
}

# listens reports whether somebody takes connections at a host and port.
listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# status gives the HTTP status of a GET, or 000.
status() {
	(
		exec 3<>"/dev/tcp/$1/$2" || exit
		printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$3" "$1" "$2" >&3
		read -r -t 3 _ code _ <&3 && printf '%s' "$code"
	) 2>/dev/null || printf 000
}

# pid_of gives the process of a name if it runs: the one in its pid file, if
# that is still the program which was started and not another with its number.
pid_of() {
	local file=$run_dir/$1.pid pid program
	[ -f "$file" ] || return 1
	{ read -r pid && read -r program; } <"$file" || return 1
	case "$(ps -ww -p "$pid" -o args= 2>/dev/null)" in
	"$program" | "$program "*) printf '%s' "$pid" ;;
	*) return 1 ;;
	esac
}

# start runs a program in the background under a name, unless it runs already:
# start NAME PROGRAM [ARGUMENT...]
start() {
	local name=$1
	shift
	! pid_of "$name" >/dev/null || return 0
	nohup "$@" </dev/null >>"$run_dir/log/$name.log" 2>&1 &
	printf '%s\n%s\n' "$!" "$1" >"$run_dir/$name.pid"
	disown
	started+=("$name")
}

# stop ends a process that start has begun, and waits for it.
stop() {
	local name=$1 pid tries
	if pid=$(pid_of "$name"); then
		kill "$pid" 2>/dev/null || true
		for ((tries = 0; tries < 200; tries++)); do
			pid_of "$name" >/dev/null || break
			sleep 0.1
		done
		if pid=$(pid_of "$name"); then
			say "$name does not stop; it is killed"
			kill -KILL "$pid" 2>/dev/null || true
		fi
	fi
	rm -f "$run_dir/$name.pid"
}
