// Node's fetch; with a sixth argument the body goes as a stream, which is sent chunked.
import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";

const [origin, method, target, file, stream] = process.argv.slice(2);
const options = { method, headers: { "Content-Type": "application/json" } };
if (stream) {
  options.body = Readable.toWeb(createReadStream(file, { highWaterMark: 500 }));
  options.duplex = "half";
} else if (method === "POST") {
  options.body = readFileSync(file);
}
const response = await fetch(origin + target, options);
process.stdout.write(`${response.status} -\n`);
process.stdout.write(Buffer.from(await response.arrayBuffer()));
