#!/usr/bin/env node
import { runCli } from './program.ts';

/** The executable: streams, exit code, and a quiet end when the reader goes away (`brx-sync dlq list | head`). */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const exitCode = await runCli(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, host: process });
// What is still in the pipe goes out first; then end, whatever a client library may have left open.
await new Promise((resolve) => process.stdout.write('', resolve));
process.exit(exitCode);
