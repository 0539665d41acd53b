/**
 * What every long-lived part looks like (contract after River's startstop.Service): `start` resolves once the part works,
 * `stop` resolves once it has let go of everything, and tolerates never-started and twice-stopped.
 */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in order; if one fails, the ones already started are stopped in reverse and the failure is thrown. */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = [];
  try {
    for (const service of services) {
      await service.start();
      started.push(service);
    }
  } catch (error) {
    await stopAll(started).catch(() => undefined); // the first failure is the one to report
    throw error;
  }
}

/** Stops in reverse order, all of them, and then throws the first failure, if any. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  let failure: { error: unknown } | undefined;
  for (const service of services.toReversed()) {
    try {
      await service.stop();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure) throw failure.error;
}
