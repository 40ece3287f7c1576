# Services of one script: a folder for its work, and processes that end with it. To be sourced.
work=$(mktemp -d)
services=()
stop() {
    for pid in "${services[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

free_port() {
    local port
    while port=$((20000 + RANDOM % 30000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

start() { # name, path that answers, command…: what listens on $port
    local name=$1 path=$2
    shift 2
    "$@" >"$work/$name.log" 2>&1 &
    services+=($!)
    for _ in $(seq 600); do
        curl -sf -o /dev/null "http://127.0.0.1:$port$path" && return
        sleep 0.1
    done
    echo "$name does not start" >&2
    tail -n 20 "$work/$name.log" >&2
    exit 1
}

start_prometheus() { # name, program
    promtool tsdb create-blocks-from openmetrics "$work/series.om" "$work/$1" >"$work/promtool.log" 2>&1
    port=$(free_port)
    printf 'global: {external_labels: {replica: one}}\n' >"$work/$1.yml"
    start "$1" /-/ready "$2" --config.file="$work/$1.yml" --storage.tsdb.path="$work/$1" \
        --storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h \
        --web.listen-address="127.0.0.1:$port"
}
