/** Asks each cluster that the volumes lie in once, all at the same time. @returns the answers by cluster id. */
export async function eachCluster<Id extends { readonly clusterId: string }, T>(
  volumes: readonly { readonly id: Id }[],
  ask: (id: Id) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const one = new Map(volumes.map(({ id }) => [id.clusterId, id]));
  return new Map(await Promise.all([...one.values()].map(async (id) => [id.clusterId, await ask(id)] as const)));
}
