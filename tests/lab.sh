#!/usr/bin/env bash
# Runs Hermod in the lab: an ecosystem made independently of Hermod's own sandbox (certificate authority, OCSP responder,
# time-stamping authority, configuration source, example services). Two Hermods take the places of the security
# servers ss1 (127.0.0.2) and ss2 (127.0.0.3) with the keys and the configuration made there, and exchange REST and SOAP
# messages; the evidence is downloaded and verified.
#
#   tests/lab.sh LAB [ss1 ss2]     LAB: the folder of the lab's script `lab`
#
# Needs: Go (the lab builds its services with it), curl, a built Hermod (HERMOD, default target/release/hermod,
# else target/debug/hermod), and the lab's fixed loopback ports free. With other servers running as ss1 name only ss2:
# its messages then go to them.
# HERMOD_LAB_KEEP=1 leaves the servers running until Enter is pressed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
LAB=$(cd "${1:?folder of the lab}" && pwd); shift
servers=("${@:-}"); [ -n "${servers[0]}" ] || servers=(ss1 ss2)
for tool in go curl; do
  command -v "$tool" >/dev/null || { echo "skipped: the lab needs $tool" >&2; exit 77; }
done
for candidate in "${HERMOD:-}" target/release/hermod target/debug/hermod; do
  [ -x "$candidate" ] && { HERMOD=$(realpath "$candidate"); break; }
done
[ -x "${HERMOD:-}" ] || { echo "build Hermod first: cargo build --release" >&2; exit 2; }

export LAB_ROOT=${LAB_ROOT:-$(mktemp -d)}
work=$LAB_ROOT/hermod; mkdir -p "$work"
pids=()
finish() {
  for pid in "${pids[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  "$LAB/lab" down
}
trap finish EXIT
"$LAB/lab" up

declare -A address=([ss0]=127.0.0.1 [ss1]=127.0.0.2 [ss2]=127.0.0.3) member=([ss0]=100 [ss1]=200 [ss2]=300)
configure() { # server
  local dir=$work/$1 ip=${address[$1]}; mkdir -p "$dir"
  cat >"$dir/hermod.toml" <<TOML
root = "$dir"
[server]
instance = "LAB"
member_class = "GOV"
member_code = "${member[$1]}"
server_code = "$1"
[listen]
consumer_http = "$ip:8080"
consumer_https = "$ip:8443"
server = "$ip:5500"
ocsp = "$ip:5577"
[signer]
token = "official"
keyconf = "$LAB_ROOT/$1/etc/signer/keyconf.xml"
pin = "Secret1234"
[tls]
internal = "$LAB_ROOT/$1/etc/ssl/internal.p12"
[globalconf]
anchor = "$LAB_ROOT/$1/etc/configuration-anchor.xml"
TOML
}
registry() { # server, declaration on standard input
  cat >"$work/$1/registry.toml"
  "$HERMOD" registry --config "$work/$1/hermod.toml" apply "$work/$1/registry.toml"
}
start() { # server
  "$HERMOD" check --config "$work/$1/hermod.toml" || true
  "$HERMOD" run --config "$work/$1/hermod.toml" >"$work/$1/output.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 150); do
    curl -s -o /dev/null "http://${address[$1]}:8080/listClients" && return
    sleep 0.1
  done
  echo "$1 did not start:" >&2; tail -n 20 "$work/$1/output.log" >&2; exit 1
}
for server in "${servers[@]}"; do
  configure "$server"
  case $server in
  ss1) registry ss1 <<'TOML'
[[client]]
id = "LAB/GOV/200/provider"
connection = "NOSSL"
[[client.service]]
code = "echo"
type = "REST"
url = "http://127.0.0.1:9201/echo"
access = ["LAB/GOV/100/consumer", "LAB/GOV/300/both"]
[[client.service]]
code = "getRandom"
version = "v1"
type = "WSDL"
url = "http://127.0.0.1:9202/soap"
access = ["LAB/GOV/100/consumer", "LAB/GOV/300/both"]
TOML
  ;;
  ss2) registry ss2 <<'TOML'
[[client]]
id = "LAB/GOV/300/both"
connection = "NOSSL"
[[client.service]]
code = "echo"
type = "REST"
url = "http://127.0.0.1:9201/echo"
access = ["LAB/GOV/100/consumer", "LAB/GOV/200/provider"]
[[client.service]]
code = "getRandom"
version = "v1"
type = "WSDL"
url = "http://127.0.0.1:9202/soap"
access = ["LAB/GOV/100/consumer", "LAB/GOV/200/provider"]
TOML
  ;;
  *) echo "no place for $server here" >&2; exit 2 ;;
  esac
  start "$server"
done

say() { printf '%-46s %s\n' "$1" "$2"; }
fail() { echo "FAILED: $*" >&2; for s in "${servers[@]}"; do tail -n 5 "$work/$s/output.log" >&2; done; exit 1; }
consumer=http://127.0.0.3:8080 client='X-Road-Client: LAB/GOV/300/both' service=/r1/LAB/GOV/200/provider/echo
soap_request() { sed -e 's/>100</>300</; s/>consumer</>both</' "$LAB/load/$1"; }

curl -sf -H "$client" -H 'X-Road-Id: lab-get' "$consumer$service?size=1024" -o "$work/get" || fail "REST GET"
[ "$(wc -c <"$work/get")" = 1024 ] || fail "REST GET: wrong body"
say "REST GET 1 KiB" "$(wc -c <"$work/get") bytes"
head -c 100000 /dev/urandom >"$work/body"
curl -sf -H "$client" -H 'X-Road-Id: lab-post' --data-binary @"$work/body" "$consumer$service" -o "$work/post" || fail "REST POST"
cmp -s "$work/body" "$work/post" || fail "REST POST: another body came back"
say "REST POST 100 kB, echoed" "equal"
soap_request soap-request.xml >"$work/soap.xml"
curl -sf -H 'Content-Type: text/xml; charset=UTF-8' -H 'SOAPAction: ""' --data-binary @"$work/soap.xml" "$consumer/" -o "$work/soap" || fail "SOAP"
grep -q getRandomResponse "$work/soap" || fail "SOAP: $(cat "$work/soap")"
say "SOAP" "getRandomResponse"
soap_request soap-request-attachment.mime >"$work/soap.mime"
curl -sf -H 'Content-Type: multipart/related; type="text/xml"; charset=UTF-8; boundary=lab-boundary-7f3a' -H 'SOAPAction: ""' \
  --data-binary @"$work/soap.mime" "$consumer/" -o "$work/attachment" || fail "SOAP with attachment"
grep -aq getRandomResponse "$work/attachment" || fail "SOAP with attachment: $(head -c 600 "$work/attachment")"
say "SOAP with attachment" "getRandomResponse"
if [ "${#servers[@]}" = 2 ]; then
  curl -sf -H 'X-Road-Client: LAB/GOV/200/provider' "http://127.0.0.2:8080/r1/LAB/GOV/300/both/echo?size=2048" -o "$work/back" || fail "REST GET, ss1 to ss2"
  say "REST GET 2 KiB, the other way" "$(wc -c <"$work/back") bytes"
fi

curl -sf "$consumer/verificationconf" -o "$work/verificationconf.zip" || fail "verificationconf"
who='xRoadInstance=LAB&memberClass=GOV&memberCode=300&subsystemCode=both&force&unique'
for id in lab-get lab-post; do
  for direction in request response; do
    curl -sf "$consumer/asic?$who&queryId=$id&${direction}Only" -o "$work/$id-$direction.asice" || fail "/asic"
  done
done
"$HERMOD" verify "$work"/*.asice --conf "$work/verificationconf.zip" || fail "the evidence does not verify"
"$LAB/lab" stats
[ -z "${HERMOD_LAB_KEEP:-}" ] || { echo "the servers run until Enter is pressed"; read -r _; }
echo "the lab's messages were exchanged, logged and verified"
