#!/bin/sh
# Becomes a Redis with the users of redis.conf, whose passwords come from
# AUTH_REDIS_PASSWORD and GATEWAY_REDIS_PASSWORD. Arguments are the server's
# own. Redis reads the settings from its standard input, so that the passwords
# are in no file, no list of processes and not in its environment.
set -eu
: "${AUTH_REDIS_PASSWORD:?is not set}" "${GATEWAY_REDIS_PASSWORD:?is not set}"
case $AUTH_REDIS_PASSWORD$GATEWAY_REDIS_PASSWORD in
*[!A-Za-z0-9]*)
	echo 'passwords of Redis are letters and digits: they stand in URLs and in redis.conf' >&2
	exit 1
	;;
esac
settings=$(awk '
	{
		gsub(/\$AUTH_REDIS_PASSWORD/, ENVIRON["AUTH_REDIS_PASSWORD"])
		gsub(/\$GATEWAY_REDIS_PASSWORD/, ENVIRON["GATEWAY_REDIS_PASSWORD"])
		print
	}' "$(dirname "$0")/redis.conf")
unset AUTH_REDIS_PASSWORD GATEWAY_REDIS_PASSWORD
exec redis-server - "$@" <<EOT
$settings
EOT
