import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { migrationsDirectory, readMigrations } from '../../src/operations/migrate/files.ts';
import { lineAt, splitStatements } from '../../src/operations/migrate/split.ts';

/** Cutting a migration into statements: a wrong cut would run half a statement, or name the wrong line. */
const texts = (sql: string): string[] => splitStatements(sql).map((statement) => statement.sql);

describe('splitStatements', () => {
  test.each([
    ['nothing', '  \n -- only a comment; really\n /* and ; one */ ', []],
    ['the last one without a semicolon', 'A;B', ['A', 'B']],
    ['empty ones', ';;A;;', ['A']],
    ['a string', "INSERT 'a;b''c;';B", ["INSERT 'a;b''c;'", 'B']],
    ['a backslash in a plain string is a backslash', String.raw`A '\';B`, [String.raw`A '\'`, 'B']],
    ['a backslash in an E string escapes', String.raw`A E'\';B';C`, [String.raw`A E'\';B'`, 'C']],
    ['a quoted name', 'A "x;""y;" ;B', ['A "x;""y;"', 'B']],
    ['a dollar quote', 'A $$ ; $x$ ; $$;B', ['A $$ ; $x$ ; $$', 'B']],
    ['a tagged dollar quote', "A $f$ '; $$ ; $f$;B", ["A $f$ '; $$ ; $f$", 'B']],
    ['a parameter is no dollar quote', 'A $1;B $1;C', ['A $1', 'B $1', 'C']],
    ['a dollar in a name is no dollar quote', 'A a$$;B $$;C', ['A a$$', 'B $$;C']],
    ['a line comment', 'A -- it\'s; a "comment\n;B', ["A -- it's; a \"comment", 'B']],
    ['nested comments', 'A /* ; /* ; */ ; */ x;B', ['A /* ; /* ; */ ; */ x', 'B']],
    ['a body in SQL', 'CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END;B', ['CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END', 'B']],
    ['what never ends', "A 'x;", ["A 'x;"]],
  ])('%s', (_what, sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });

  test('knows the line each starts on, comments before it not counted', () => {
    expect(splitStatements('-- one\n\nA\n;\n/* x\n*/ B;C')).toEqual([
      { sql: 'A', line: 3 },
      { sql: 'B', line: 6 },
      { sql: 'C', line: 6 },
    ]);
    expect([0, 1, 2, 3].map((offset) => lineAt('a\n\nb', offset))).toEqual([1, 1, 2, 3]);
  });

  test('property: pieces joined with semicolons come apart again', () => {
    const piece = fc.constantFrom("'a;b'", '"c;d"', '$$e;f$$', '$t$;$t$', 'word', '/*;*/ x', '(1 + 2)', "E'\\';'");
    const statement = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => `S ${pieces.join(' ')}`);
    fc.assert(
      fc.property(fc.array(statement), (statements) => {
        expect(texts(statements.join(';\n'))).toEqual(statements);
      }),
    );
  });
});

test('the package’s migrations are found, sorted, and as Prisma reads them', () => {
  const migrations = readMigrations();
  expect(migrations.map(({ name }) => name)).toEqual(migrations.map(({ name }) => name).toSorted());
  expect(migrations[0]).toMatchObject({ name: '20261123000000_inventory', checksum: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(readFileSync(`${migrationsDirectory()}/migration_lock.toml`, 'utf8')).toContain('provider = "postgresql"');
});
