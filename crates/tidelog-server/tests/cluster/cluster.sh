# A PostgreSQL for one test process: made in $1 with the programs of $2, reached by a socket there, gone when this
# script's input ends. That input is a pipe that only the test process holds, so its end, even by SIGKILL, ends all.
# A line of it is a signal that stops PostgreSQL, or `run`. PRELOAD is a library that PostgreSQL alone is started with.
set -eu
dir=$1 bin=$2 fsync=$3

# PostgreSQL refuses to run as root.
as=""
if [ "$(id -u)" = 0 ]; then
  chown postgres "$dir"
  as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
server="" is_ready=""
end() {
  trap '' INT TERM HUP
  [ -n "$is_ready" ] || cat "$dir/log" >&2 || true
  if [ -n "$server" ]; then
    kill -QUIT "$server" || true
    wait "$server" || true
  fi
  rm -rf "$dir"
}
trap end EXIT
trap 'exit 1' INT TERM HUP
# The test process may be gone before it could be told.
trap '' PIPE

$as "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/log" 2>&1
run() {
  $as env ${PRELOAD:+LD_PRELOAD="$PRELOAD"} "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= \
    -c fsync="$fsync" -c max_connections=500 -c shared_buffers=64MB -c dynamic_shared_memory_type=mmap \
    -c deadlock_timeout=100ms >>"$dir/log" 2>&1 &
  server=$!
  until "$bin/pg_isready" -q -h "$dir"; do
    kill -0 "$server"
    sleep 0.05
  done
}
run
is_ready=yes
echo ready
# Whoever reads what the tests say need not wait for the end of this.
exec >/dev/null 2>&1
while read -r word; do
  if [ "$word" = run ]; then
    run
  else
    kill -s "$word" "$server"
    wait "$server" || true
    server=""
  fi
done
