import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BrxError, messageOf } from '../src/errors.ts';
import { VERSIONS, type Report } from './model.ts';
import { run } from './run.ts';
import type { StackSettings } from './settings.ts';

/**
 * Kafka and the schema registry as jars, through Maven (which keeps its own cache, so a second checkout downloads nothing).
 * Complete is what has its marker, written last; anything else is removed and fetched again.
 */
export interface Downloads {
  /** Folder of Kafka's jars. */
  kafka: string;
  /** Folder of the registry: quarkus-run.jar and what belongs to it. */
  registry: string;
}

const MARKER = '.complete';

export function downloadPlaces(settings: StackSettings): Downloads {
  const folder = join(settings.home, 'downloads');
  return { kafka: join(folder, `kafka-${VERSIONS.kafka}`), registry: join(folder, `apicurio-registry-${VERSIONS.registry}`) };
}

export function downloadsComplete(settings: StackSettings): boolean {
  const { kafka, registry } = downloadPlaces(settings);
  return [kafka, registry].every((folder) => existsSync(join(folder, MARKER)));
}

export async function ensureDownloads(settings: StackSettings, mvn: string | undefined, report: Report): Promise<Downloads> {
  const places = downloadPlaces(settings);
  if (downloadsComplete(settings)) return places;
  if (mvn === undefined) throw new BrxError('BRX_STACK', 'Maven is needed to download Kafka and the registry, and is not there');
  for (const folder of [places.kafka, places.registry]) rmSync(folder, { recursive: true, force: true });
  const work = join(settings.home, 'downloads');
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'pom.xml'), pom(places));
  report(`downloading Kafka ${VERSIONS.kafka} and Apicurio Registry ${VERSIONS.registry} through Maven (about 220 MB the first time)`);
  const progress = new Progress(report);
  try {
    await run(mvn, ['-f', join(work, 'pom.xml'), '-Dstyle.color=never', 'generate-resources'], { cwd: work, environment: settings.environment, onLine: (line) => progress.take(line) });
  } catch (error) {
    throw new BrxError('BRX_STACK', `Kafka and the registry could not be downloaded: ${messageOf(error)}`, {
      cause: error,
      remedy: 'check that Maven reaches its repository (proxy and mirrors belong into ~/.m2/settings.xml), then try again; what has arrived is kept',
    });
  }
  for (const folder of [places.kafka, places.registry]) writeFileSync(join(folder, MARKER), '');
  report(`downloaded: ${progress.summary()}`);
  return places;
}

/** A project whose only work is to put two sets of files in two folders. Versions of plugins are pinned, so nothing is guessed. */
export function pom(downloads: Downloads): string {
  const places = { kafka: inXml(downloads.kafka), registry: inXml(downloads.registry) };
  const dependency = (group: string, artifact: string, version: string): string =>
    `    <dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>brx.sync</groupId>
  <artifactId>stack-downloads</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
${[
  dependency('org.apache.kafka', 'kafka_2.13', VERSIONS.kafka),
  dependency('org.apache.kafka', 'kafka-tools', VERSIONS.kafka),
  // Kafka's POM brings no SLF4J binding; this is the one for SLF4J 1.7, which it uses.
  dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', VERSIONS.log4jSlf4j),
].join('\n')}
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId>
    <artifactId>maven-dependency-plugin</artifactId>
    <version>${VERSIONS.mavenDependencyPlugin}</version>
    <executions>
      <execution>
        <id>kafka</id>
        <phase>generate-resources</phase>
        <goals><goal>copy-dependencies</goal></goals>
        <configuration><includeScope>runtime</includeScope><outputDirectory>${places.kafka}</outputDirectory></configuration>
      </execution>
      <execution>
        <id>registry</id>
        <phase>generate-resources</phase>
        <goals><goal>unpack</goal></goals>
        <configuration>
          <artifactItems><artifactItem>
            <groupId>io.apicurio</groupId>
            <artifactId>apicurio-registry-app</artifactId>
            <version>${VERSIONS.registry}</version>
            <type>tar.gz</type>
            <classifier>all</classifier>
          </artifactItem></artifactItems>
          <outputDirectory>${places.registry}</outputDirectory>
          <markersDirectory>${places.registry}/.markers</markersDirectory>
        </configuration>
      </execution>
    </executions>
  </plugin></plugins></build>
</project>
`;
}

/** A checkout may be below R&D. */
const inXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Turns Maven's transfer lines into one line every two seconds. */
class Progress {
  readonly #report: Report;
  #files = 0;
  #bytes = 0;
  #current = '';
  #told = performance.now();

  constructor(report: Report) {
    this.#report = report;
  }

  take(line: string): void {
    const done = /Downloaded from [^:]+: \S+\/(\S+) \(([\d.]+) (B|kB|MB|GB)/.exec(line);
    if (done !== null) {
      this.#files += 1;
      this.#bytes += Number(done[2]) * ({ B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[done[3] ?? 'B'] ?? 1);
      this.#current = '';
    }
    const part = /^Progress \(\d+\): (.+)$/.exec(line);
    if (part?.[1] !== undefined) this.#current = `, now ${part[1].trim()}`;
    if (performance.now() - this.#told < 2_000) return;
    this.#told = performance.now();
    this.#report(`downloading: ${this.summary()}${this.#current}`);
  }

  summary(): string {
    return this.#files === 0 ? 'everything was in Maven\'s cache' : `${this.#files} files, ${(this.#bytes / 1e6).toFixed(0)} MB`;
  }
}
