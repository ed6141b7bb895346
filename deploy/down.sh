#!/usr/bin/env bash
# Stops what up.sh has started, and nothing else. With --purge the databases,
# the streams, the keys in Redis and .run/ go as well.
set -euo pipefail
# shellcheck source=deploy/processes.sh
. "$(dirname "$0")/processes.sh"

case "${1:-}" in
'' | --purge) ;;
*) fail "unknown argument '$1'; there is --purge, or none" ;;
esac
settings

# stop_all stops the processes whose pid files match, all of one kind at once.
stop_all() {
	local file
	for file in "$run_dir"/$1.pid; do
		[ ! -e "$file" ] || stop "$(basename "$file" .pid)" &
	done
	wait
}
for kind in 'gateway-*' user-service 'auth-service-*' example mailbox; do stop_all "$kind"; done

if [ "${1:-}" = --purge ]; then
	if [ -x "$run_dir/bin/devtools" ]; then
		"$run_dir/bin/devtools" purge -nats-url "$NATS_URL" -nats-prefix "$NATS_PREFIX" || say "the streams of $NATS_PREFIX are left"
	fi
	if command -v redis-cli >/dev/null; then
		redis-cli -u "$REDIS_URL" --scan --pattern "$REDIS_PREFIX*" 2>/dev/null | xargs -r -n 100 redis-cli -u "$REDIS_URL" del >/dev/null ||
			say "the keys of $REDIS_PREFIX are left; they expire by themselves"
	fi
	for name in "$GATEHOUSE_AUTH_DATABASE" "$GATEHOUSE_USER_DATABASE"; do
		sql "DROP DATABASE IF EXISTS $name" || say "the database $name is left"
	done
fi
for kind in nats redis; do stop_all "$kind"; done
if [ "${1:-}" = --purge ]; then
	rm -rf "$run_dir/bin" "$run_dir/log" "$run_dir/nats" "$run_dir/redis" \
		"$run_dir/settings" "$run_dir/routes.yaml" "$run_dir/encryption-key" "$run_dir/admin-password" "$run_dir/assertion-key"
	rmdir "$run_dir" 2>/dev/null || true
fi
say "gatehouse is down"
