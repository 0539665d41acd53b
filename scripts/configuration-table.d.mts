import type { ZodType } from 'zod';

export declare const MARKERS: readonly [string, string];
export declare function configurationTable(variables: Readonly<Record<string, { schema: ZodType; description: string; secret?: true }>>): string;
export declare function withTable(text: string, table: string): string;
