import { userInfo } from 'node:os';

/** Who is at the terminal, for the record of what operators do. */
export const operator = (): string => userInfo().username;
