import { inject } from 'vitest';
import type { StackUrls } from '../../stack/index.ts';

export { runKafkaTool, startPrivateKafka, startPrivateMariadb, startPrivatePostgres, startPrivateRedis, startPrivateRegistry, type PrivatePostgres, type PrivateService } from '../../stack/index.ts';

/**
 * Where this run's services are (projects integration and crash). They are shared: a test that stops, restarts or kills one
 * starts a private instance instead (`startPrivatePostgres`, `startPrivateKafka`, `startPrivateRegistry`) and removes it afterwards.
 */
export function stackUrls(): StackUrls {
  return inject('stack');
}
