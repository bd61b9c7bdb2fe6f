#!/bin/sh
# Prepares Elasticsearch for the relay: waits for it, makes the users if security is
# on, and installs the index templates beside this script. Run it as often as you like:
# everything is replaced by the same. It needs curl.
#
#   ELASTICSEARCH_URL        http://elasticsearch:9200
#   ELASTIC_PASSWORD         of the user elastic; empty if security is off
#   KIBANA_PASSWORD          for the user kibana_system, which Kibana logs in as
#   LOGSTASH_PASSWORD        for the user logstash, which may write siem_* and suricata-*
#   SETUP_PATIENCE           seconds to wait for Elasticsearch, 180
set -eu

url=${ELASTICSEARCH_URL:-http://elasticsearch:9200}
url=${url%/}
templates=$(cd "$(dirname "$0")" && pwd)/elasticsearch/templates
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() {
	printf 'setup: %s\n' "$1" >&2
}

fail() {
	say "$1"
	exit 1
}

# json_string prints a text as a JSON string.
json_string() {
	rest=$1
	quoted=
	while [ -n "$rest" ]; do
		tail=${rest#?}
		char=${rest%"$tail"}
		[ -n "$char" ] || fail "a password is no text in UTF-8"
		case $char in
		[[:cntrl:]]) quoted=$quoted$(printf '\\u%04x' "'$char") ;;
		\" | \\) quoted=$quoted\\$char ;;
		*) quoted=$quoted$char ;;
		esac
		rest=$tail
	done
	printf '"%s"' "$quoted"
}

# curl_quoted prints a text between double quotes as curl's configuration has it.
curl_quoted() {
	printf '"%s"' "$(printf %s "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

# request METHOD PATH [FILE] sends a request, prints the status and leaves the
# answer in $scratch/answer. Passwords are in no list of processes.
request() {
	{
		printf 'url = %s\nrequest = %s\n' "$(curl_quoted "$url$2")" "$(curl_quoted "$1")"
		printf 'header = "Content-Type: application/json"\n'
		printf 'output = %s\n' "$(curl_quoted "$scratch/answer")"
		if [ -n "${ELASTIC_PASSWORD:-}" ]; then
			printf 'user = %s\n' "$(curl_quoted "elastic:$ELASTIC_PASSWORD")"
		fi
		if [ -n "${3:-}" ]; then
			printf 'data-binary = %s\n' "$(curl_quoted "@$3")"
		fi
	} >"$scratch/request"
	: >"$scratch/answer"
	curl --silent --max-time 30 --write-out '%{http_code}' --config "$scratch/request" || :
}

# put PATH FILE WHAT sends a file and fails if it is refused.
put() {
	status=$(request PUT "$1" "$2")
	[ "$status" = 200 ] || fail "cannot install $3: status $status: $(head -c 500 "$scratch/answer")"
	say "installed $3"
}

wait_for_elasticsearch() {
	left=${SETUP_PATIENCE:-180}
	while :; do
		status=$(request GET '/_cluster/health?wait_for_status=yellow&timeout=1s')
		case $status in
		200) return ;;
		401) fail "Elasticsearch wants a password, and ELASTIC_PASSWORD is not it" ;;
		esac
		[ "$left" -gt 0 ] || fail "Elasticsearch does not answer at $url: status $status"
		left=$((left - 2))
		sleep 2
	done
}

make_users() {
	if [ -z "${KIBANA_PASSWORD:-}" ] || [ -z "${LOGSTASH_PASSWORD:-}" ]; then
		fail "security is on: set ELASTIC_PASSWORD, KIBANA_PASSWORD and LOGSTASH_PASSWORD"
	fi
	kibana=$(json_string "$KIBANA_PASSWORD")
	logstash=$(json_string "$LOGSTASH_PASSWORD")
	printf '{"password":%s}' "$kibana" >"$scratch/body"
	put /_security/user/kibana_system/_password "$scratch/body" "the password of kibana_system"
	cat >"$scratch/body" <<-'END'
		{
		  "cluster": ["monitor"],
		  "indices": [
		    {
		      "names": ["siem_*", "suricata-*"],
		      "privileges": ["read", "write", "create_index", "auto_configure", "view_index_metadata"]
		    }
		  ]
		}
	END
	put /_security/role/dsiem_relay "$scratch/body" "the role dsiem_relay"
	printf '{"password":%s,"roles":["dsiem_relay"],"full_name":"Relay of Dsiem"}' "$logstash" >"$scratch/body"
	put /_security/user/logstash "$scratch/body" "the user logstash"
}

wait_for_elasticsearch
if [ "$(request GET /_security/_authenticate)" = 200 ] && [ -n "${ELASTIC_PASSWORD:-}" ]; then
	make_users
else
	say "security is off, so there are no users to make"
fi
for template in "$templates"/*.json; do
	name=${template##*/}
	name=${name%.json}
	put "/_index_template/$name" "$template" "the index template $name"
done
say "done"
