#!/usr/bin/env bash
# Every customer and payment-token operation with curl, unsigned, through the sidecar to the strict simulator; the 3-D
# Secure page approved and declined with a browser's requests; languages, limits, unknown paths.
#
#   tests/e2e/operations.sh                 builds the program
#   WONDER_SIGNER=path tests/e2e/operations.sh   uses that program
#
# Needs curl, and python3 to read JSON. Exit code 0 when all passed.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/e2e/dev.sh
start_dev
P=/svc/payment/api/v1/openapi

passed=0 failed=0 options=()

# call NAME STATUS METHOD TARGET [BODY] [-- PATH=JSON...]: the answer's status, and values in its body by dotted path.
# $options has further curl options. The answer is kept in $work/answer, its head in $work/head.
call() {
    local name=$1 status=$2 method=$3 target=$4 body=() got verdict
    shift 4
    if [ $# -gt 0 ] && [ "$1" != -- ]; then body=(--data-binary "$1"); shift; fi
    [ $# -eq 0 ] || shift
    got=$(curl -sS -g --max-time 20 -D "$work/head" -o "$work/answer" -w '%{http_code}' -X "$method" \
        -H 'Content-Type: application/json' "${options[@]}" "${body[@]}" "$origin$target" || echo curl failed)
    if [ "$got" != "$status" ]; then
        verdict="FAILED: $(head -c 300 "$work/answer")"
    elif verdict=$(holds "$@" 2>&1); then
        verdict=ok
    else
        verdict="FAILED: ${verdict##*$'\n'}"
    fi
    record "$name" "$method" "$got" "$verdict"
}

record() { # name, method, status, verdict
    if [ "$4" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-58s %-6s %-4s %s\n' "$@"
}

holds() { # PATH=JSON..., where PATH# is a length, and a bare word is compared as text
    python3 - "$work/answer" "$@" <<'PYTHON'
import json, sys
answer = json.load(open(sys.argv[1], encoding="utf-8"))
for claim in sys.argv[2:]:
    path, _, wanted = claim.partition("=")
    value = answer
    for step in path.rstrip("#").split("."):
        value = value[int(step)] if isinstance(value, list) else value.get(step, "(absent)")
    if path.endswith("#"):
        value = len(value)
    try:
        wanted = json.loads(wanted)
    except ValueError:
        pass
    if value != wanted:
        sys.exit(f"{path} is {value!r}, not {wanted!r}")
PYTHON
}

field() { # PATH: a value of the last answer
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, step: value[step], sys.argv[2].split("."), json.load(open(sys.argv[1]))))' \
        "$work/answer" "$1"
}

head_has() { # NAME, a pattern that the last answer's head must match
    if tr -d '\r' <"$work/head" | grep -qiE "$2"; then record "$1" '' '' ok; else record "$1" '' '' "FAILED: $2"; fi
}

# browse NAME URL TEXT [FORM]: opens a page as a browser does, or submits its form; the page must contain TEXT. The
# certificate is from an authority made at start, which a browser does not trust by default.
browse() {
    local page form=()
    [ $# -lt 4 ] || form=(--data-raw "$4")
    page=$(curl -sSk --max-time 20 -H 'Accept: text/html' "${form[@]}" "$2")
    if grep -qF "$3" <<<"$page"; then record "$1" '' '' ok; else record "$1" '' '' "FAILED: no '$3' on the page"; fi
}

printf '%-58s %-6s %-4s %s\n' CALL METHOD CODE RESULT

# Both echo paths.
call 'echo' 200 POST "$P/echo" '{"message":"hello"}' -- data.message=hello
call 'echo, the shorter path' 200 POST /svc/payment/api/v1/echo '{"message":"你好"}' -- data.message=你好

# Customers.
call 'customers.create' 200 POST "$P/customers" \
    '{"customer":{"name":"茶室","email":"tea@shop.example","dial_code":"+852","phone":"55501234","reference_number":"T/1 ü"}}' \
    -- code=200 message=success data.customer.name=茶室 'data.customer.reference_number=T/1 ü' \
    data.customer.default_payment_token=null
uuid=$(field data.customer.uuid)
call 'customers.create again: the same uuid, updated' 200 POST "$P/customers" \
    '{"customer":{"name":"Tea Room","phone":"55509999","reference_number":"T/1 ü"}}' \
    -- data.customer.uuid="$uuid" 'data.customer.name=Tea Room' data.customer.email=tea@shop.example
call 'customers.create, a second one' 200 POST "$P/customers" \
    '{"customer":{"name":"Other","phone":"1","reference_number":"T-2"}}'
other=$(field data.customer.uuid)
call 'customers.get' 200 GET "$P/customers/$uuid" -- data.customer.phone='"55509999"'
call 'customers.get_by_reference, encoded' 200 GET "$P/customers/ref/T%2F1%20%C3%BC" -- data.customer.uuid="$uuid"
call 'customers.update: a flat body' 200 PUT "$P/customers/$uuid" '{"name":"Tea House","default_payment_method":"Alipay"}' \
    -- 'data.customer.name=Tea House' data.customer.default_payment_method=Alipay
call 'customers.update: empty means leave as is' 200 PUT "$P/customers/$uuid" '{"name":"","email":"","phone":""}' \
    -- 'data.customer.name=Tea House' data.customer.email=tea@shop.example data.customer.phone='"55509999"'
call 'customers.update: an empty default clears' 200 PUT "$P/customers/$uuid" '{"default_payment_method":""}' \
    -- data.customer.default_payment_method='""'
call 'customers.list' 200 GET "$P/customers" -- data.customers#=2
head_has 'customers.list: X-Total-Entries' '^x-total-entries: 2$'
call 'customers.list: limit and offset' 200 GET "$P/customers?limit=1&offset=1" \
    -- data.customers#=1 data.customers.0.uuid="$other"
head_has 'customers.list: X-Total-Entries of a page' '^x-total-entries: 2$'

# A card, approved.
CARD='{"card":{"number":"4111111111111111","exp_month":"08","exp_year":"31","holder_name":"K TEA",
"billing_address":{"country_code":"HKG","city":"Hong Kong"},"3ds":{"success_return_url":"https://shop.example/ok",
"fail_return_url":"https://shop.example/no"},"transaction_type":"recurring_payment"}}'
tokens=$P/customers/$uuid/payment_tokens
call 'payment_tokens.create: credit card' 200 POST "$tokens" "$CARD" \
    -- data.payment_token.state=pending data.payment_token.token_type=CreditCard data.payment_token.default=false
token=$(field data.payment_token.token) page=$(field data.payment_token.verify_url)
verify_uuid=$(field data.payment_token.verify_uuid)
asked="{\"payment_token\":{\"token\":\"$token\",\"verify_uuid\":\"$verify_uuid\"}}"
call 'payment_tokens.check: pending, masked' 200 POST "$tokens/check" "$asked" \
    -- data.payment_token.state=pending 'data.payment_token.credit_card.number="411111******1111"'
browse '3-D Secure page: opened' "$page" '411111******1111'
call 'payment_tokens.check: opening decides nothing' 200 POST "$tokens/check" "$asked" -- data.payment_token.state=pending
browse '3-D Secure page: approved' "$page" 'href="https://shop.example/ok"' decision=approve
call 'payment_tokens.check: success, the default' 200 POST "$tokens/check" "$asked" \
    -- data.payment_token.state=success data.payment_token.default=true
browse '3-D Secure page: the first decision is final' "$page" 'Approved.' decision=decline
call 'payment_tokens.check: the literal uuid segment' 200 POST "$P/customers/uuid/payment_tokens/check" "$asked" \
    -- data.payment_token.state=success
call 'customers.get_by_token' 200 POST "$P/customers/by/token" "{\"token\":\"$token\"}" -- data.customer.uuid="$uuid"
call 'customers.get: with its default token' 200 GET "$P/customers/$uuid" \
    -- data.customer.default_payment_token.token="$token" 'data.customer.default_payment_method=Credit Card'

# A card, declined.
call 'payment_tokens.create: to be declined' 200 POST "$tokens" "$CARD"
declined=$(field data.payment_token.token) page=$(field data.payment_token.verify_url)
browse '3-D Secure page: declined' "$page" 'href="https://shop.example/no"' decision=decline
call 'payment_tokens.check: failed, with a reason' 200 POST "$tokens/check" "{\"payment_token\":{\"token\":\"$declined\"}}" \
    -- data.payment_token.state=failed data.payment_token.error_code=3DS_DECLINED
options=(-H 'x-i18n-lang: zh-HK')
call 'payment_tokens.check: the reason in zh-HK' 200 POST "$tokens/check" "{\"payment_token\":{\"token\":\"$declined\"}}" \
    -- data.payment_token.error_msg=持卡人拒絕了驗證。
options=()
call 'customers.update: a failed token is no default' 400 PUT "$P/customers/$uuid" "{\"default_payment_token\":\"$declined\"}"

# Auto-debit, lists, default token, deletion.
call 'payment_tokens.create: Alipay' 200 POST "$tokens" \
    '{"alipay":{"terminal_type":"WEB","return_url":"https://shop.example/back","transaction_type":"recurring_payment"}}' \
    -- data.payment_token.token_type=AlipayAutoDebit data.payment_token.state=pending
alipay=$(field data.payment_token.token)
browse '3-D Secure page: Alipay approved' "$(field data.payment_token.verify_url)" 'Approved.' decision=approve
call 'payment_tokens.create: WeChat' 200 POST "$tokens" '{"wechatpay":{"transaction_type":"recurring_payment"}}' \
    -- data.payment_token.token_type=WechatPayAutoDebit
call 'payment_tokens.list' 200 GET "$tokens" -- data.payment_tokens#=4
call 'payment_tokens.list: token_type' 200 GET "$tokens?token_type=Gateway,AlipayAutoDebit" -- data.payment_tokens#=3
call 'payment_tokens.list: token_type, encoded' 200 GET "$tokens?token_type=Gateway%2CAlipayAutoDebit" \
    -- data.payment_tokens#=3
call 'customers.update: another default token' 200 PUT "$P/customers/$uuid" "{\"default_payment_token\":\"$alipay\"}" \
    -- data.customer.default_payment_token.token="$alipay" data.customer.default_payment_token.default=true
call 'customers.update: an empty default token clears' 200 PUT "$P/customers/$uuid" '{"default_payment_token":""}' \
    -- data.customer.default_payment_token=null
call 'payment_tokens.delete' 200 DELETE "$tokens/$token" -- data.success=true
call 'payment_tokens.delete again' 404 DELETE "$tokens/$token" -- code=E000031
call 'payment_tokens.delete: the token in the body' 200 DELETE "$tokens" "{\"token\":\"$alipay\"}" -- data.success=true
call 'payment_tokens.check: deleted for good' 404 POST "$tokens/check" "$asked" -- code=E000031

# Languages of success messages and pages. Errors are in English.
options=(-H 'x-i18n-lang: zh-HK')
call 'zh-HK' 200 GET "$P/customers?limit=1" -- 'message=成功'
call 'an error for zh-HK, in English' 400 POST "$P/customers" '{}' -- 'message=customer is required.'
options=(-H 'x-i18n-lang: en')
call 'en' 200 GET "$P/customers?limit=1" -- 'message=success'
options=()

# Limits, required fields, unknown objects and paths.
long=$(printf 'x%.0s' $(seq 256))
customer() { printf '{"customer":{"name":"%s","phone":"1","reference_number":"%s","dial_code":"%s"}}' "$@"; }
call 'name of 255 characters' 200 POST "$P/customers" "$(customer "${long:1}" limits +852)"
call 'name of 256 characters' 400 POST "$P/customers" "$(customer "$long" limits +852)" -- code=E000023
call 'dial_code of 7 characters' 400 POST "$P/customers" "$(customer n limits +852000)" -- code=E000023
call 'name missing' 400 POST "$P/customers" '{"customer":{"phone":"1","reference_number":"r"}}' \
    -- code=E000021 'message=customer.name is required.'
call 'not JSON' 400 POST "$P/customers" '{' -- code=E000020
call 'limit of 1000' 200 GET "$P/customers?limit=1000"
call 'limit of 1001' 400 GET "$P/customers?limit=1001" -- code=E000024
call 'card number that fails its check digit, as two of the sandbox do' 200 POST "$tokens" "${CARD/4111111111111111/4111111111111112}"
call 'card that has expired' 400 POST "$tokens" "${CARD/\"exp_year\":\"31\"/\"exp_year\":\"20\"}" -- code=E000024
call 'unknown customer' 404 GET "$P/customers/0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10" -- code=E000030
call 'unknown reference number' 404 GET "$P/customers/ref/none" -- code=E000030
call 'unknown token' 404 POST "$P/customers/by/token" '{"token":"0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10"}' -- code=E000031
call 'a signed path that is not served' 404 GET /svc/payment/api/v1/openapi/nothing -- code=E000032
call 'a path outside /svc/: our own answer' 404 GET /other -- code=SIGNER_NOT_WONDER sent=no
head_has 'a path outside /svc/: our own header' '^x-wonder-signer-error: not_wonder$'

call 'customers.delete' 200 DELETE "$P/customers/$uuid"
call 'customers.delete again' 404 DELETE "$P/customers/$uuid" -- code=E000030
call 'customers.get: deleted' 404 GET "$P/customers/$uuid" -- code=E000030
call 'customers.get_by_token: deleted with its customer' 404 POST "$P/customers/by/token" "{\"token\":\"$alipay\"}" \
    -- code=E000031

# Each was counted under its own name.
curl -sS "$admin/metrics" >"$work/metrics"
for operation in $(grep -oE 'operation="(customers|payment_tokens)\.[a-z_]+"' "$work/metrics" | sort -u | cut -d'"' -f2); do
    if grep -E "^wonder_signer_requests_total\{.*operation=\"$operation\"" "$work/metrics" | grep -qvE ' 0$'; then
        record "counted: $operation" '' '' ok
    else
        record "counted: $operation" '' '' 'FAILED: the count is zero'
    fi
done

printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
