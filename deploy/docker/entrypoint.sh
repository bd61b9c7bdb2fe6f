#!/bin/sh
# Starts a node of Dsiem in a container:
#
#   1. chooses the program by DSIEM_MODE,
#   2. puts the sample configuration into a volume that has none,
#   3. writes the addresses that the web UI needs,
#   4. becomes the program, so that it gets the container's signals itself.
#
# Whatever fails on the way is reported, and the program is started all the same:
# it knows what it cannot do without. Started as root, the script gives the volumes
# to the user of the image and goes on as that user.
#
# Arguments: none, or flags of serve; or a command of dsiem (healthcheck, validate,
# replay, ...); or one of the programs and its arguments; or sh or a path, to look
# around. It runs in dash and in the shell of busybox. The programs and configs-dist
# are beside the script.
set -eu

user=dsiem
metrics_address=127.0.0.1:9618

case $0 in
*/*) home=$(cd "${0%/*}" && pwd) ;;
*) home=$(pwd) ;;
esac
root=${DSIEM_ROOT_DIR:-${DSIEM_ROOTDIR:-$home}}
configs=${DSIEM_CONFIG_DIR:-${DSIEM_CONFIGDIR:-${DSIEM_CONFIGS_DIR:-${DSIEM_CONFIGSDIR:-$root/configs}}}}
logs=${DSIEM_LOG_DIR:-${DSIEM_LOGDIR:-${DSIEM_LOGS_DIR:-${DSIEM_LOGSDIR:-$root/logs}}}}
web=${DSIEM_WEB_DIR:-${DSIEM_WEBDIR:-$root/web/dist}}

# plain prints a setting as the programs compare it: in small letters, without
# blanks around it.
plain() {
	printf %s "$1" | tr '[:upper:]' '[:lower:]' | tr -d '[:space:]'
}

# json_string prints a text as a JSON string.
json_string() {
	rest=$1
	quoted=
	while [ -n "$rest" ]; do
		tail=${rest#?}
		char=${rest%"$tail"}
		if [ -z "$char" ]; then # a byte that is no character in the shell's locale
			quoted=$quoted\\ufffd
			break
		fi
		case $char in
		[[:cntrl:]]) quoted=$quoted$(printf '\\u%04x' "'$char") ;;
		\" | \\) quoted=$quoted\\$char ;;
		*) quoted=$quoted$char ;;
		esac
		rest=$tail
	done
	printf '"%s"' "$quoted"
}

# say LEVEL TEXT writes a line in the form of the programs' log.
say() {
	now=$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)
	case $(plain "${DSIEM_JSON:-}") in
	1 | t | true | yes | on)
		printf '{"timestamp":"%s","level":"%s","fields":{"message":%s},"target":"dsiem_entrypoint"}\n' \
			"$now" "$1" "$(json_string "$2")"
		;;
	*) printf '%s %5s dsiem_entrypoint: %s\n' "$now" "$1" "$2" ;;
	esac >&2
}

# owner prints the uid that a file belongs to.
owner() {
	# shellcheck disable=SC2012 # busybox has no stat in every build, and the name is not parsed
	ls -nd "$1" | awk '{ print $3 }'
}

# check_writable DIR CONSEQUENCE makes a directory if need be and says so if this
# user cannot write in it.
check_writable() {
	probe=$1/.dsiem-entrypoint.$$
	if mkdir -p "$1" 2>/dev/null && (: >"$probe") 2>/dev/null; then
		rm -f "$probe"
		return 0
	fi
	if [ -e "$1" ]; then
		say WARN "cannot write to $1: it belongs to uid $(owner "$1") and this is uid $(id -u), $2; see docs/deploy.md, Volumes"
	else
		say WARN "cannot make $1 as uid $(id -u), $2; see docs/deploy.md, Volumes"
	fi
	return 1
}

# choose_mode sets mode. Of the references' images the original's is standalone
# without DSIEM_MODE, and the seed's is a backend: only a backend has a frontend.
choose_mode() {
	mode=$(plain "${DSIEM_MODE:-}")
	if [ -z "$mode" ] && [ -n "${DSIEM_FRONTEND:-}" ]; then
		mode=cluster-backend
		[ "$1" = quietly ] || say INFO "this node is a $mode, because DSIEM_FRONTEND is set and DSIEM_MODE is not"
	fi
	DSIEM_MODE=${mode:=standalone}
	export DSIEM_MODE
}

# choose_program sets program. dsiem refuses a mode that does not exist.
choose_program() {
	case $mode in
	cluster-backend) program=dsiem-backend ;;
	cluster-frontend) program=dsiem-frontend ;;
	*) program=dsiem ;;
	esac
}

# default_metrics gives a backend, which has no other port, an address for the
# health check of the image.
default_metrics() {
	if [ "$mode" = cluster-backend ] && [ -z "${DSIEM_METRICS_ADDRESS:-${DSIEM_METRICSADDRESS:-}}" ]; then
		DSIEM_METRICS_ADDRESS=$metrics_address
		export DSIEM_METRICS_ADDRESS
	fi
}

# has_configuration tells if there is any *.json in the configuration.
has_configuration() {
	for file in "$configs"/*.json; do
		if [ -e "$file" ] || [ -L "$file" ]; then
			return 0
		fi
	done
	return 1
}

# seed_configs copies the sample configuration into an empty volume. The files
# get their names when all of them are there. Nothing is ever overwritten.
seed_configs() {
	if [ "$mode" = cluster-backend ] || has_configuration || ! [ -d "$home/configs-dist" ]; then
		return 0
	fi
	check_writable "$configs" "so it gets no sample configuration" || return 0
	staging=$(mktemp -d "$configs/.seed.XXXXXX") || return 0
	if cp "$home"/configs-dist/*.json "$staging" && install_samples; then
		say INFO "there was no configuration in $configs, so it got the sample configuration"
	else
		say WARN "cannot copy the sample configuration to $configs"
	fi
	rm -rf "$staging"
}

install_samples() {
	for file in "$staging"/*; do
		name=$configs/${file##*/}
		if ! [ -e "$name" ] && ! [ -L "$name" ]; then
			mv "$file" "$name" || return 1
		fi
	done
}

# site_url NAME PROTO HOSTNAME PORT prints a URL as the original's sites have it,
# nothing if a part is missing.
site_url() {
	if [ -z "$3" ] || [ -z "${SITE_DOMAIN:-}" ]; then
		say WARN "SITE_ID is set, but not ${1}_HOSTNAME or SITE_DOMAIN: they are needed for the web UI"
		return 0
	fi
	printf '%s://%s.%s%s.%s:%s' "$2" "$3" "${SITE_PREFIX:-}" "$SITE_ID" "$SITE_DOMAIN" "$4"
}

# write_web_config tells the web UI where Elasticsearch and Kibana are.
write_web_config() {
	elasticsearch=${DSIEM_WEB_ESURL:-}
	kibana=${DSIEM_WEB_KBNURL:-}
	if [ -n "${SITE_ID:-}" ]; then
		[ -n "$elasticsearch" ] || elasticsearch=$(site_url ES "${ES_PROTO:-http}" "${ES_HOSTNAME:-}" "${ES_PORT:-9200}")
		[ -n "$kibana" ] || kibana=$(site_url KBN "${KBN_PROTO:-http}" "${KBN_HOSTNAME:-}" "${KBN_PORT:-5601}")
	fi
	if [ "$mode" = cluster-backend ] || [ -z "$elasticsearch$kibana" ]; then
		return 0
	fi
	case $elasticsearch in
	*://*@*) say WARN "DSIEM_WEB_ESURL has a password: whoever can open the web UI can read it" ;;
	esac
	dir=$web/assets/config
	content="{\"elasticsearch\":$(json_string "${elasticsearch:-http://localhost:9200}"),\"kibana\":$(json_string "${kibana:-http://localhost:5601}")}"
	if [ "$(cat "$dir/esconfig.json" 2>/dev/null)" = "$content" ]; then
		return 0
	fi
	check_writable "$dir" "so the web UI is not told where Elasticsearch is" || return 0
	if ! printf '%s\n' "$content" >"$dir/.esconfig.json" || ! mv "$dir/.esconfig.json" "$dir/esconfig.json"; then
		rm -f "$dir/.esconfig.json"
		say WARN "cannot write $dir/esconfig.json, so the web UI is not told where Elasticsearch is"
	fi
}

# become_user goes on as the user of the image, if root has started the script
# and there is such a user. It gives that user the volumes: those of the
# references' images belong to root.
become_user() {
	if [ "$(id -u)" != 0 ] || ! uid=$(id -u "$user" 2>/dev/null); then
		return 0
	fi
	if ! setuidgid "$user" true 2>/dev/null; then
		say WARN "cannot become uid $uid, going on as root"
		return 0
	fi
	for dir in "$configs" "$logs" "$web/assets/config"; do
		if [ -d "$dir" ] && [ -n "$(find "$dir" ! -user "$user" | head -n 1)" ]; then
			say INFO "giving $dir to uid $uid"
			chown -Rh "$user:$user" "$dir" 2>/dev/null || say WARN "cannot give $dir to uid $uid"
		fi
	done
	exec setuidgid "$user" "$home/${0##*/}" "$@"
}

prepare() {
	default_metrics
	seed_configs
	write_web_config
	if [ "$mode" != cluster-frontend ]; then
		check_writable "$logs" "so no alarm can be written" || :
	fi
}

case ${1:-serve} in
healthcheck)
	choose_mode quietly
	default_metrics
	exec "$home/dsiem" "$@"
	;;
sh | /*) exec "$@" ;;
serve | -* | dsiem | dsiem-backend | dsiem-frontend) become_user "$@" ;;
*) exec "$home/dsiem" "$@" ;; # it reads what the caller may read, and changes nothing here
esac

case ${1:-serve} in
serve | -*)
	[ "${1:-}" != serve ] || shift
	choose_mode aloud
	choose_program
	prepare
	exec "$home/$program" serve "$@"
	;;
dsiem-backend) DSIEM_MODE=cluster-backend ;;
dsiem-frontend) DSIEM_MODE=cluster-frontend ;;
esac
choose_mode aloud
program=$1
shift
[ "${1:-}" != serve ] || prepare
exec "$home/$program" "$@"
