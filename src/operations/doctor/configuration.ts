import type { Config } from '../../config.ts';
import { sayOf, type Finding } from './finding.ts';

const say = sayOf('configuration');
const OLDEST_NODE = [20, 19] as const;

/** A configuration that is valid, and still may not be what somebody wants. `nodeVersion`: "20.19.0". */
export function judgeConfiguration(config: Config, nodeVersion: string): Finding[] {
  const findings = [say.ok('settings', 'every variable is readable, and they fit each other')];
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  findings.push(
    major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
      ? say.ok('Node', nodeVersion)
      : say.failure('Node', `this is Node ${nodeVersion}`, `run it with Node ${OLDEST_NODE.join('.')} or newer`),
  );
  if (config.secrets.keys.length === 0) findings.push(say.warning('secret keys', 'BRX_SECRET_KEYS is not set: no seller’s token can be kept, so nothing is told to CardTrader', 'make one with `openssl rand -base64 32` and set BRX_SECRET_KEYS=first:<key>'));
  if (config.redis.url === undefined) findings.push(say.warning('Redis', `BRX_REDIS_URL is not set: each process takes ${config.limiter.fallbackShare * 100} % of a seller’s limit by itself, so several processes may ask too much of CardTrader`, 'set BRX_REDIS_URL, the same for all processes'));
  if (config.mysql.url === undefined) findings.push(say.warning('catalogue', 'BRX_MYSQL_URL is not set: no blueprint is mapped to a print', 'set BRX_MYSQL_URL to the MySQL that holds the catalogue'));
  if (config.fault !== undefined) findings.push(say.failure('faults', `BRX_FAULT is set: this process would ${config.fault.action} itself at ${config.fault.point}`, 'unset BRX_FAULT: it is for crash tests'));
  return findings;
}
