import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuSeconds, peakMemory } from '../ingest/measure.ts';

/**
 * How much a simulator answers: `npm run bench:simulator`. A process of its own with 1,000 sellers of 200 products, as the command
 * starts it, limits on; 16 connections of this process drive it over loopback, each request of the next seller, so that none is
 * refused. Reads are exports by blueprint, writes absolute quantities with a marker. Prints one line a mix; figures are in
 * src/simulator/README.md.
 */
const CONNECTIONS = 16;
const SECONDS = 8;
const MIXES = { reads: 1, writes: 0, 'half and half': 0.5 };

interface Target {
  token: string;
  products: { id: number; blueprintId: number }[];
}

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const child = spawn(process.execPath, [main, 'simulator', '--json', '--port', '0', '--sellers', '1000', '--products', '200'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
const { apiUrl, control, sellers } = JSON.parse(line) as { apiUrl: string; control: string; sellers: { id: number; token: string }[] };
const { hostname, port } = new URL(apiUrl);
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const targets: Target[] = [];
for (const { id, token } of sellers) {
  const products = (await (await fetch(`${control}/sellers/${id}/products`)).json()) as { id: number; blueprint: { id: number } }[];
  targets.push({ token, products: products.map((product) => ({ id: product.id, blueprintId: product.blueprint.id })) });
}

let sent = 0;
for (const [mix, reads] of Object.entries(MIXES)) {
  await drive(reads, 2); // warm
  const cpu = cpuSeconds(child.pid ?? 0);
  const { count, seconds, times, refused } = await drive(reads, SECONDS);
  const used = cpuSeconds(child.pid ?? 0) - cpu;
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(1);
  console.log(`${mix}: ${Math.round(count / seconds).toLocaleString('en-US')} requests/s, ${Math.round(count / used).toLocaleString('en-US')} per CPU-second of the simulator, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${refused} not 200`);
}
console.log(`peak memory ${Math.round(peakMemory(child.pid ?? 0) / 1_048_576)} MiB`);
agent.destroy();
child.kill('SIGTERM');

async function drive(reads: number, seconds: number): Promise<{ count: number; seconds: number; times: number[]; refused: number }> {
  const start = performance.now();
  const times: number[] = [];
  let refused = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() - start < seconds * 1_000) {
      const before = performance.now();
      if ((await one(reads)) !== 200) refused += 1;
      times.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
  return { count: times.length, seconds: (performance.now() - start) / 1_000, times: times.sort((a, b) => a - b), refused };
}

function one(reads: number): Promise<number | undefined> {
  const number = (sent += 1);
  const target = targets[number % targets.length];
  const product = target?.products[Math.floor(number / targets.length) % target.products.length];
  if (target === undefined || product === undefined) throw new Error('nobody to ask');
  const operation = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const body = (number * 0.618_034) % 1 < reads ? undefined : JSON.stringify({ quantity: 1 + (number % 9), error_mode: 'strict', user_data_field: `bench brx:${operation}` });
  const path = body === undefined ? `/api/v2/products/export?blueprint_id=${product.blueprintId}` : `/api/v2/products/${product.id}`;
  const headers = { authorization: `Bearer ${target.token}`, 'x-request-id': operation, ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) };
  return new Promise((resolve, reject) => {
    const sending = request({ hostname, port, agent, method: body === undefined ? 'GET' : 'PUT', path, headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    sending.on('error', reject).end(body);
  });
}
