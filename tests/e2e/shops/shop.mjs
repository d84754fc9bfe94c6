// A shop that sells through Wonder: an order with a payment link, the webhooks that say what became of it, refunds. Node's own modules suffice.
//
//   WONDER=http://127.0.0.1:8080 PORT=3000 node shop.mjs
//
// WONDER is the signing listener of the sidecar: the shop has no key. Webhooks arrive through the sidecar's webhook listener, which verifies
// them first; so this port is for the sidecar alone, and not for the internet.

import http from "node:http";

const { WONDER, PORT } = process.env;
const self = `http://127.0.0.1:${PORT}`;
const orders = new Map();
const cents = (amount) => Math.round(Number(amount) * 100);

// One call to Wonder. HTTP 200 is not success yet: Wonder reports business errors as HTTP 200 with another `code`.
async function wonder(path, body) {
  const answer = await fetch(`${WONDER}/svc/payment/api/v1/openapi/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const { code, message, data } = await answer.json();
  if (code !== 200) throw new Error(`Wonder: ${code} ${message}`);
  return data;
}

async function buy({ reference, amount }) {
  const order = {
    reference_number: reference, charge_fee: amount, currency: "HKD",
    redirect_url: `${self}/thanks?reference=${encodeURIComponent(reference)}`,
  };
  orders.set(reference, { amount, status: "new", fulfilled: 0, refunded: 0, events: [] });
  const { payment_link } = await wonder("orders?with_payment_link=true", { order });
  return { payment_link };
}

// A webhook may be repeated, and a later one may overtake an earlier one. So the shop takes its state from the order in the body, and not
// from the name of the event. "paid" is `correspondence_state`; `state` is `completed` for refunded orders too.
function webhook(action, order) {
  const known = orders.get(order.reference_number);
  if (!known) return; // of another system with the same AppID; Wonder need not send it again
  const refunds = (order.transactions ?? []).filter(({ type, success }) => type === "Refund" && success);
  const refunded = refunds.reduce((sum, { amount }) => sum + cents(amount), 0);
  known.events.push(action);
  known.refunded = Math.max(known.refunded, refunded);
  if (known.refunded >= cents(known.amount)) known.status = "refunded";
  else if (known.refunded > 0) known.status = "partly refunded";
  else if (order.correspondence_state === "paid" && order.currency === "HKD" && cents(order.initial_total) === cents(known.amount)) {
    known.status = "paid";
    known.fulfilled ||= 1; // the goods leave once
  }
}

async function refund({ reference, amount }) {
  const order = { reference_number: reference };
  const { order: found } = await wonder("orders/check", { order });
  const sale = found.transactions.find(({ type, success }) => type === "Sales" && success);
  await wonder("orders/refund", { order, transaction: { uuid: sale.uuid }, refund: { amount, note: "customer" } });
  return {};
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks));
}

const server = http.createServer(async (request, response) => {
  const answer = (status, value) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  const { pathname } = new URL(request.url, self);
  try {
    switch (`${request.method} ${pathname.replace(/^\/orders\/.*/, "/orders/:reference")}`) {
      case "POST /orders": return answer(201, await buy(await body(request)));
      case "GET /orders/:reference": return answer(200, orders.get(decodeURIComponent(pathname.slice("/orders/".length))) ?? null);
      case "POST /refunds": return answer(200, await refund(await body(request)));
      case "POST /webhooks": webhook(request.headers["x-action"], await body(request)); return answer(200, {});
      case "GET /thanks": return response.writeHead(200, { "Content-Type": "text/plain" }).end("Thank you\n");
      default: return answer(404, {});
    }
  } catch (error) {
    // For a webhook, 500 means: send it again.
    answer(500, { error: error.message });
  }
});
server.listen(PORT, "127.0.0.1");
