#!/usr/bin/env bash
# Starts the distributed system on loopback addresses, each part a process of
# its own: three gateways, two auth-services, a user-service, the example
# upstream and a mailbox, on the PostgreSQL, Redis and NATS of this machine.
# What runs already is left alone. Pid files and logs are in .run/.
# Settings and their defaults are in processes.sh; variables of the services
# themselves (AUTH_ACCESS_TTL, GATEWAY_CREDENTIAL_LIMIT ...) are passed on.
# GATEHOUSE_AUTH_NATS_URL, GATEHOUSE_USER_NATS_URL and GATEHOUSE_GATEWAY_NATS_URL
# give the services identities of their own on a broker that asks for them,
# GATEHOUSE_AUTH_REDIS_URL and GATEHOUSE_GATEWAY_REDIS_URL on such a Redis.
set -euo pipefail
# shellcheck source=deploy/processes.sh
. "$(dirname "$0")/processes.sh"

settings
export NATS_URL NATS_PREFIX REDIS_URL REDIS_PREFIX
started=()
mkdir -p "$run_dir/bin" "$run_dir/log"
chmod 700 "$run_dir"

# abandon stops what this call has started, and says why.
abandon() {
	local name
	for name in "${started[@]}"; do stop "$name"; done
	fail "$*"
}
trap 'abandon "interrupted"' INT TERM

# each_service calls a function for every service: NAME PORT OPS_PORT
each_service() {
	local i
	for ((i = 0; i < GATEHOUSE_AUTH_SERVICES; i++)); do
		"$1" "auth-service-$((i + 1))" $((GATEHOUSE_AUTH_PORT + i)) $((GATEHOUSE_AUTH_OPS_PORT + i))
	done
	"$1" user-service "$GATEHOUSE_USER_PORT" "$GATEHOUSE_USER_OPS_PORT"
	for ((i = 0; i < GATEHOUSE_GATEWAYS; i++)); do
		"$1" "gateway-$((i + 1))" $((GATEHOUSE_GATEWAY_PORT + i)) $((GATEHOUSE_GATEWAY_OPS_PORT + i))
	done
}

# need_free fails if another program has a port that a part needs: NAME PORT...
need_free() {
	local name=$1 port
	shift
	! pid_of "$name" >/dev/null || return 0
	for port in "$@"; do
		! listens "$GATEHOUSE_HOST" "$port" || taken+=("$port (for $name)")
	done
}

check_ports() {
	taken=()
	each_service need_free
	need_free example "$GATEHOUSE_EXAMPLE_PORT"
	need_free mailbox "$GATEHOUSE_MAILBOX_PORT" "$GATEHOUSE_SMTP_PORT"
	[ ${#taken[@]} -eq 0 ] || fail "these ports of $GATEHOUSE_HOST are taken: $(IFS=,; echo "${taken[*]}"); free them, or choose others (GATEHOUSE_GATEWAY_PORT and so on, see deploy/processes.sh)"
}

build() {
	command -v go >/dev/null || fail "Go is not installed"
	(cd "$root" && go build -o "$run_dir/bin/" ./gateway ./auth-service ./user-service ./deploy/standalone/cmd/devtools) || fail "the build fails"
}

# own_server starts a server where none answers, if that is on this machine and
# installed: NAME URL PROGRAM [ARGUMENT...]
own_server() {
	local name=$1 host port tries
	read -r host port < <(address_of "$2")
	! listens "$host" "$port" || return 0
	case $host in 127.* | localhost) ;; *) fail "$name does not answer at $host:$port" ;; esac
	command -v "$3" >/dev/null || fail "$name does not answer at $host:$port and $3 is not installed; start it, or set the URL of another"
	mkdir -p "$run_dir/$name"
	start "$name" "$(command -v "$3")" "${@:4}"
	for ((tries = 0; tries < 100; tries++)); do
		! listens "$host" "$port" || return 0
		sleep 0.1
	done
	abandon "$name does not start; see $run_dir/log/$name.log"
}

start_servers() {
	local port
	read -r _ port < <(address_of "$REDIS_URL")
	own_server redis "$REDIS_URL" redis-server --bind 127.0.0.1 --port "$port" --dir "$run_dir/redis" --save '' --appendonly no
	read -r _ port < <(address_of "$NATS_URL")
	own_server nats "$NATS_URL" nats-server -a 127.0.0.1 -p "$port" -js -sd "$run_dir/nats"
}

make_databases() {
	command -v psql >/dev/null || abandon "psql is not installed; it makes the databases"
	sql 'SELECT 1' >/dev/null || abandon "PostgreSQL does not answer; start it, or set GATEHOUSE_POSTGRES_URL to a database of a user who may create others"
	local name
	for name in "$GATEHOUSE_AUTH_DATABASE" "$GATEHOUSE_USER_DATABASE"; do
		[ "$(sql "SELECT count(*) FROM pg_database WHERE datname = '$name'")" = 1 ] || sql "CREATE DATABASE $name" || abandon "the database $name cannot be made"
	done
}

# keep_secret makes a secret once: FILE BYTES. Without it the signing keys in
# the database cannot be read, so it lives as long as the database.
keep_secret() {
	[ -s "$run_dir/$1" ] || (umask 077 && head -c "$2" /dev/urandom | base64 | tr -d '\n' >"$run_dir/$1")
}

# keep_assertion_key makes once the key by which all gateways sign assertions:
# 32 random bytes in the form of an Ed25519 key (RFC 8410 section 7), in PEM.
keep_assertion_key() {
	[ -s "$run_dir/$1" ] || (
		umask 077
		{
			echo '-----BEGIN PRIVATE KEY-----'
			{ printf '\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20' && head -c 32 /dev/urandom; } | base64
			echo '-----END PRIVATE KEY-----'
		} >"$run_dir/$1"
	)
}

start_service() {
	local name=$1 port=$2 ops=$3
	case $name in
	auth-service-*)
		DATABASE_URL=$(database_url "$GATEHOUSE_AUTH_DATABASE") NATS_URL=${GATEHOUSE_AUTH_NATS_URL:-$NATS_URL} \
			REDIS_URL=${GATEHOUSE_AUTH_REDIS_URL:-$REDIS_URL} \
			AUTH_ADDR=$GATEHOUSE_HOST:$port AUTH_OPS_ADDR=$GATEHOUSE_HOST:$ops \
			AUTH_ISSUER=$public_url AUTH_AUDIENCE=$audience AUTH_PUBLIC_URL=$public_url \
			AUTH_ENCRYPTION_KEY_FILE=$run_dir/encryption-key \
			AUTH_ADMIN_EMAIL=$GATEHOUSE_ADMIN_EMAIL AUTH_ADMIN_PASSWORD_FILE=$run_dir/admin-password \
			AUTH_SMTP_URL=smtp://$GATEHOUSE_HOST:$GATEHOUSE_SMTP_PORT AUTH_MAIL_FROM=${AUTH_MAIL_FROM:-gatehouse@example.com} \
			start "$name" "$run_dir/bin/auth-service"
		;;
	user-service)
		DATABASE_URL=$(database_url "$GATEHOUSE_USER_DATABASE") NATS_URL=${GATEHOUSE_USER_NATS_URL:-$NATS_URL} \
			USER_ADDR=$GATEHOUSE_HOST:$port USER_OPS_ADDR=$GATEHOUSE_HOST:$ops \
			USER_ISSUER=$public_url USER_AUDIENCE=$audience USER_AUTH_URL=$auth_urls \
			start "$name" "$run_dir/bin/user-service"
		;;
	gateway-*)
		NATS_URL=${GATEHOUSE_GATEWAY_NATS_URL:-$NATS_URL} REDIS_URL=${GATEHOUSE_GATEWAY_REDIS_URL:-$REDIS_URL} \
			GATEWAY_ADDR=$GATEHOUSE_HOST:$port GATEWAY_OPS_ADDR=$GATEHOUSE_HOST:$ops GATEWAY_NODE_ID=$name \
			GATEWAY_ISSUER=$public_url GATEWAY_AUDIENCE=$audience GATEWAY_ROUTES=$run_dir/routes.yaml \
			GATEWAY_ASSERTION_KEY_FILE=$run_dir/assertion-key \
			GATEWAY_AUTH_URL=$auth_urls GATEWAY_USER_URL=http://$GATEHOUSE_HOST:$GATEHOUSE_USER_PORT \
			start "$name" "$run_dir/bin/gateway"
		;;
	esac
}

# await waits until a part answers, or fails with what it has to say: NAME PORT PATH
await() {
	while [ "$(status "$GATEHOUSE_HOST" "$2" "$3")" != 200 ]; do
		if ! pid_of "$1" >/dev/null; then
			tail -n 5 "$run_dir/log/$1.log" >&2
			abandon "$1 has stopped; its log is $run_dir/log/$1.log"
		fi
		if ((SECONDS >= deadline)); then
			tail -n 5 "$run_dir/log/$1.log" >&2
			abandon "$1 is not ready; its log is $run_dir/log/$1.log"
		fi
		sleep 0.05
	done
}
await_service() { await "$1" "$3" /readyz; }

check_ports
build
make_databases
start_servers
keep_secret encryption-key 32
keep_secret admin-password 18
keep_assertion_key assertion-key
[ -z "${GATEHOUSE_ADMIN_PASSWORD:-}" ] || (umask 077 && printf '%s' "$GATEHOUSE_ADMIN_PASSWORD" >"$run_dir/admin-password")
public_url=http://$GATEHOUSE_HOST:$GATEHOUSE_GATEWAY_PORT
audience=gatehouse-api
auth_urls=
for ((i = 0; i < GATEHOUSE_AUTH_SERVICES; i++)); do auth_urls+="${auth_urls:+,}http://$GATEHOUSE_HOST:$((GATEHOUSE_AUTH_PORT + i))"; done
"$run_dir/bin/devtools" routes -example-url "http://$GATEHOUSE_HOST:$GATEHOUSE_EXAMPLE_PORT" \
	-mailbox-url "http://$GATEHOUSE_HOST:$GATEHOUSE_MAILBOX_PORT" >"$run_dir/routes.yaml"
remember

deadline=$((SECONDS + ${GATEHOUSE_START_TIMEOUT:-60}))
start mailbox "$run_dir/bin/devtools" mailbox -addr "$GATEHOUSE_HOST:$GATEHOUSE_MAILBOX_PORT" -smtp-addr "$GATEHOUSE_HOST:$GATEHOUSE_SMTP_PORT"
start example "$run_dir/bin/devtools" echo -addr "$GATEHOUSE_HOST:$GATEHOUSE_EXAMPLE_PORT"
each_service start_service
await mailbox "$GATEHOUSE_MAILBOX_PORT" /dev/mail
await example "$GATEHOUSE_EXAMPLE_PORT" /healthz
each_service await_service

say "administrator: $GATEHOUSE_ADMIN_EMAIL, with the password in $run_dir/admin-password"
say "gatehouse ready: $public_url"
