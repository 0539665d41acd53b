import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { scan } from '../../support/source-scan.ts';

/** Protects: who configures no receiver of spans never loads OpenTelemetry. What a real process has loaded: test/integration/tracing/process.test.ts. */
const imports = (file: string) => scan(readFileSync(file, 'utf8')).imports.filter(({ kind }) => kind !== 'type');
const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.includes('generated')).map((name) => `src/${name}`);

test('OpenTelemetry is imported by one file, and that file only by a dynamic import', () => {
  expect(files.filter((file) => imports(file).some(({ specifier }) => specifier.startsWith('@opentelemetry/')))).toEqual(['src/platform/tracing/otlp.ts']);
  const importers = files.flatMap((file) => imports(file).filter(({ specifier }) => specifier.startsWith('.') && posix.join(posix.dirname(file), specifier) === 'src/platform/tracing/otlp.ts').map(({ kind }) => `${file} ${kind}`));
  expect(importers).toEqual(['src/platform/tracing/open.ts dynamic']);
});
