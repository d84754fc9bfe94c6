<?php
// A shop that sells through Wonder: an order with a payment link, the webhooks that say what became of it, refunds. No extension is needed.
//
//   WONDER=http://127.0.0.1:8080 ORDERS=orders.json php -S 127.0.0.1:3000 shop.php
//
// WONDER is the signing listener of the sidecar: the shop has no key. Webhooks arrive through the sidecar's webhook listener, which verifies
// them first; so this port is for the sidecar alone, and not for the internet.

// One call to Wonder. HTTP 200 is not success yet: Wonder reports business errors as HTTP 200 with another `code`.
function wonder(string $path, array $body): array
{
    $request = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => json_encode($body), 'timeout' => 30, 'ignore_errors' => true];
    $answer = file_get_contents(getenv('WONDER') . "/svc/payment/api/v1/openapi/$path", false, stream_context_create(['http' => $request]));
    $found = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
    if ($found['code'] !== 200) {
        throw new RuntimeException("Wonder: {$found['code']} {$found['message']}");
    }
    return $found['data'];
}

function cents(string|float $amount): int
{
    return (int) round((float) $amount * 100);
}

// Changes the orders under a lock, because several requests are served at the same time.
function change(callable $change): void
{
    $file = fopen(getenv('ORDERS'), 'c+');
    flock($file, LOCK_EX);
    $orders = json_decode(stream_get_contents($file) ?: '{}', true);
    $change($orders);
    ftruncate($file, 0);
    rewind($file);
    fwrite($file, json_encode($orders));
    fclose($file);
}

function buy(string $reference, string $amount): array
{
    $self = 'http://' . $_SERVER['HTTP_HOST'];
    $order = [
        'reference_number' => $reference, 'charge_fee' => $amount, 'currency' => 'HKD',
        'redirect_url' => "$self/thanks?" . http_build_query(['reference' => $reference]),
    ];
    change(function (array &$orders) use ($reference, $amount) {
        $orders[$reference] = ['amount' => $amount, 'status' => 'new', 'fulfilled' => 0, 'refunded' => 0, 'events' => []];
    });
    return ['payment_link' => wonder('orders?with_payment_link=true', ['order' => $order])['payment_link']];
}

// A webhook may be repeated, and a later one may overtake an earlier one. So the shop takes its state from the order in the body, and not
// from the name of the event. "paid" is `correspondence_state`; `state` is `completed` for refunded orders too.
function webhook(string $action, array $order): void
{
    change(function (array &$orders) use ($action, $order) {
        if (!isset($orders[$order['reference_number']])) {
            return; // of another system with the same AppID; Wonder need not send it again
        }
        $known = &$orders[$order['reference_number']];
        $refunds = array_filter($order['transactions'] ?? [], fn ($found) => $found['type'] === 'Refund' && $found['success']);
        $known['events'][] = $action;
        $known['refunded'] = max($known['refunded'], array_sum(array_map('cents', array_column($refunds, 'amount'))));
        $paid = $order['correspondence_state'] === 'paid' && $order['currency'] === 'HKD';
        if ($known['refunded'] >= cents($known['amount'])) {
            $known['status'] = 'refunded';
        } elseif ($known['refunded'] > 0) {
            $known['status'] = 'partly refunded';
        } elseif ($paid && cents($order['initial_total']) === cents($known['amount'])) {
            $known['status'] = 'paid';
            $known['fulfilled'] = 1; // the goods leave once
        }
    });
}

function refund(string $reference, string $amount): array
{
    $order = ['reference_number' => $reference];
    $found = wonder('orders/check', ['order' => $order])['order'];
    $sales = array_filter($found['transactions'], fn ($found) => $found['type'] === 'Sales' && $found['success']);
    $sale = ['uuid' => array_values($sales)[0]['uuid']];
    wonder('orders/refund', ['order' => $order, 'transaction' => $sale, 'refund' => ['amount' => $amount, 'note' => 'customer']]);
    return [];
}

function answer(int $status, mixed $value): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($value);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
try {
    $body = json_decode(file_get_contents('php://input') ?: 'null', true, flags: JSON_THROW_ON_ERROR);
    switch ($_SERVER['REQUEST_METHOD'] . ' ' . preg_replace('#^/orders/.*#', '/orders/:reference', $path)) {
        case 'POST /orders':
            answer(201, buy(...$body));
            break;
        case 'GET /orders/:reference':
            change(fn (array $orders) => answer(200, $orders[rawurldecode(substr($path, strlen('/orders/')))] ?? null));
            break;
        case 'POST /refunds':
            answer(200, refund(...$body));
            break;
        case 'POST /webhooks':
            webhook($_SERVER['HTTP_X_ACTION'], $body);
            answer(200, (object) []);
            break;
        case 'GET /thanks':
            header('Content-Type: text/plain');
            echo "Thank you\n";
            break;
        default:
            answer(404, (object) []);
    }
} catch (Throwable $error) {
    // For a webhook, 500 means: send it again.
    answer(500, ['error' => $error->getMessage()]);
}
