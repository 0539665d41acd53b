import { nativeUrls, type Report, type StackUrls } from './model.ts';
import { upNative } from './native.ts';
import { readSettings, type StackSettings } from './settings.ts';

export type { StackUrls } from './model.ts';

export async function resolveStack(options: { settings?: StackSettings; report?: Report } = {}): Promise<StackUrls> {
  const settings = options.settings ?? readSettings();
  await upNative(settings, options.report ?? (() => undefined));
  return nativeUrls(settings.ports);
}
