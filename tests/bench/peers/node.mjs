// A signing reverse proxy for Node: one event loop, `https.Agent` with keep-alive, `crypto` for the signature.

import { createHmac, createPrivateKey, randomInt, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const setting = (name) => process.env[`WONDER_SIGNER_${name}`];
const ALGORITHM = 'Wonder-RSA-SHA256';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const OF_ONE_CONNECTION = new Set(['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

const appId = setting('CREDENTIALS__DEFAULT__APP_ID');
const key = createPrivateKey(setting('CREDENTIALS__DEFAULT__PRIVATE_KEY'));
const { host, hostname, port } = new URL(setting('UPSTREAM__ORIGIN'));
const agent = new https.Agent({ keepAlive: true, ca: readFileSync(setting('UPSTREAM__CA_FILE')) });

function passedOn(headers) {
  const passed = {};
  for (const name in headers) if (!OF_ONE_CONNECTION.has(name)) passed[name] = headers[name];
  return passed;
}

function signInto(headers, method, target, body) {
  let nonce = '';
  for (let i = 0; i < 16; i++) nonce += ALPHABET[randomInt(62)];
  const time = new Date().toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const k1 = createHmac('sha256', nonce).update(time).digest();
  const k2 = createHmac('sha256', k1).update(ALGORITHM).digest();
  const message = createHmac('sha256', k2).update(`${method}\n${target}`);
  if (body.length > 0) message.update('\n').update(body);
  headers.credential = `${appId}/${time}/${ALGORITHM}`;
  headers.nonce = nonce;
  // On this thread: on one processor the thread pool would take as long and add two context switches.
  headers.signature = sign('sha256', message.digest('hex'), key).toString('base64');
  delete headers['x-skip-signature'];
}

function forward({ method, url: path, headers: received }, response, body) {
  const headers = passedOn(received);
  headers.host = host;
  if (body.length > 0) headers['content-length'] = body.length;
  signInto(headers, method, path, body);
  const outgoing = https.request({ agent, hostname, port, method, path, headers });
  outgoing.on('response', (incoming) => {
    response.writeHead(incoming.statusCode, passedOn(incoming.headers));
    incoming.on('error', () => response.destroy());
    incoming.pipe(response);
  });
  outgoing.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  outgoing.end(body);
}

const [address, listenPort] = setting('LISTEN__ADDRESS').split(':');
http.createServer((request, response) => {
  const chunks = [];
  let length = 0;
  request.on('data', (chunk) => {
    length += chunk.length;
    if (length <= 1 << 20) chunks.push(chunk);
  });
  request.on('end', () => {
    if (length > 1 << 20) response.writeHead(413).end();
    else forward(request, response, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  });
}).listen(Number(listenPort), address);
