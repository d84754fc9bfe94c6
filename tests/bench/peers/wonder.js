// The signature for nginx with njs. Each request has its own engine and only text survives it, so every request imports the
// key again; `identity.key` is its PKCS#8 in base64, read once at start.

import hashes from 'crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

const time = () => new Date().toISOString().replace(/[-:T]/g, '').slice(0, 14);

// 248 is the greatest multiple of 62: each character is equally likely.
function nonce() {
    let text = '';
    while (text.length < 16) {
        const random = crypto.getRandomValues(new Uint8Array(24));
        for (let i = 0; i < 24 && text.length < 16; i++) {
            if (random[i] < 248) text += ALPHABET[random[i] % 62];
        }
    }
    return text;
}

async function signature(r) {
    const k1 = hashes.createHmac('sha256', r.variables.wonder_nonce).update(r.variables.wonder_time).digest();
    const k2 = hashes.createHmac('sha256', k1).update('Wonder-RSA-SHA256').digest();
    const message = hashes.createHmac('sha256', k2).update(`${r.method}\n${r.variables.request_uri}`);
    const body = r.requestBuffer;
    if (body && body.length > 0) message.update('\n').update(body);
    const key = await crypto.subtle.importKey('pkcs8', Buffer.from(identity.key, 'base64'), RSA, false, ['sign']);
    const signed = await crypto.subtle.sign(RSA, key, message.digest('hex'));
    r.setReturnValue(Buffer.from(signed).toString('base64'));
}

export default { time, nonce, signature };
