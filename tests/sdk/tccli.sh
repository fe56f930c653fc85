#!/usr/bin/env bash
# Tencent Cloud's own command line, told by `fnlite tccli-env` where to go and as whom: create, call, read the log, version, alias.
# It sends a whole URL as the host (contract 7.5). TCCLI is the program, FNLITE ours.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home
"$FNLITE" tccli-env --endpoint "$FNLITE_ENDPOINT" >"$home/env" 2>/dev/null
sed -i '/^alias /d' "$home/env"
# shellcheck source=/dev/null
. "$home/env"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
scf() { "$TCCLI" scf "$@" --endpoint "http://$FNLITE_ENDPOINT"; }
field() { python3 -c "import json,sys; it=json.load(sys.stdin); print($1)"; }
expect() { [ "$1" = "$2" ] || { echo "expected $2, got $1" >&2; exit 1; }; }

printf 'def main_handler(event, context):\n    print("by tccli")\n    return event\n' >"$home/index.py"
package=$(cd "$home" && python3 -c "
import base64, io, zipfile
archive = io.BytesIO()
with zipfile.ZipFile(archive, 'w') as package: package.write('index.py')
print(base64.b64encode(archive.getvalue()).decode())")
scf CreateFunction --FunctionName sdk_tccli --Runtime Python3.10 --Handler index.main_handler --Code "{\"ZipFile\":\"$package\"}" >/dev/null
for _ in $(seq 100); do
    status=$(scf GetFunction --FunctionName sdk_tccli | field 'it["Status"]')
    [ "$status" != Creating ] && break
done
expect "$status" Active
expect "$(scf Invoke --FunctionName sdk_tccli --ClientContext '{"a":1}' --LogType Tail | field 'it["Result"]["RetMsg"]')" '{"a": 1}'
expect "$(scf InvokeFunction --FunctionName sdk_tccli --Event '[1]' | field 'it["Result"]["InvokeResult"]')" 0
expect "$(scf GetFunctionLogs --FunctionName sdk_tccli --Limit 1 | field '"by tccli" in it["Data"][0]["Log"]')" True
expect "$(scf PublishVersion --FunctionName sdk_tccli | field 'it["FunctionVersion"]')" 1
scf CreateAlias --FunctionName sdk_tccli --Name prod --FunctionVersion 1 >/dev/null
expect "$(scf ListAliases --FunctionName sdk_tccli | field 'it["TotalCount"]')" 2
expect "$(scf ListFunctions --SearchKey sdk_tccli | field 'it["Functions"][0]["FunctionName"]')" sdk_tccli
if scf Invoke --FunctionName sdk_nobody >"$home/refused" 2>&1; then echo "nobody was called" >&2; exit 1; fi
grep -q ResourceNotFound.FunctionName "$home/refused"
scf DeleteFunction --FunctionName sdk_tccli >/dev/null
