import { readSettings } from './settings.ts';
import { downNative, resetNative, statusNative, upNative } from './native.ts';

const settings = readSettings();
const report = (line: string): void => void process.stderr.write(`${line}\n`);
const command = process.argv[2];
if (command === 'up') console.log(await upNative(settings, report));
if (command === 'down') console.log(await downNative(settings, report));
if (command === 'status') console.log(await statusNative(settings));
if (command === 'reset') await resetNative(settings, report);
