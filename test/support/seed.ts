/** The seed of this run's property tests. Printed in their names; `FC_SEED=<seed>` runs them again with the same values. */
export const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
