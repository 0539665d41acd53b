import { downloadPlaces, ensureDownloads } from './downloads.ts';
import { ensureTools } from './native.ts';
import { run } from './run.ts';
import { readSettings, type StackSettings } from './settings.ts';

/** Main classes of Kafka's own tools, by the names of the scripts that start them. */
const TOOLS = { 'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand' } as const;

/**
 * Runs one of Kafka's own tools as its script would, wherever the broker is, and answers what it said. Needs what the native stack needs,
 * whatever the shared services come from. Throws BRX_STACK with the end of its output if it fails.
 */
export async function runKafkaTool(tool: keyof typeof TOOLS, args: readonly string[], settings: StackSettings = readSettings()): Promise<string> {
  const tools = await ensureTools(settings, () => undefined);
  await ensureDownloads(settings, tools.mvn, () => undefined);
  return run(tools.kafkaJava, ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${downloadPlaces(settings).kafka}/*`, TOOLS[tool], ...args], { environment: { LANG: 'C.UTF-8' } });
}
