/** As it goes out. */
export const toText = (time: Date | null): string | null => time?.toISOString() ?? null;
