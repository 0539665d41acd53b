// Runs `prisma generate` without network. Prisma 7 has no query engine any more, but its CLI still wants the path of a
// schema engine (a download, used only by `prisma migrate`, which we do not use: see src/platform/postgres/README.md).
// Any existing file satisfies it. Skipped while the schema is unchanged, so that `npm run check` stays quick.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const output = join(root, 'src/platform/postgres/generated');
const stamp = join(output, '.stamp');
const inputs = ['prisma/schema.prisma', 'package-lock.json'].map((file) => readFileSync(join(root, file)));
const hash = createHash('sha256').update(Buffer.concat(inputs)).digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== hash) {
  const run = spawnSync(process.execPath, [join(root, 'node_modules/prisma/build/index.js'), 'generate'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: fileURLToPath(import.meta.url), PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
  });
  if (run.status !== 0) {
    process.stderr.write(`prisma generate failed:\n${run.stdout}\n${run.stderr}\n`);
    process.exit(1);
  }
  mkdirSync(output, { recursive: true });
  writeFileSync(stamp, hash);
}
