import type { FoundVolume } from '../backend.js';
import type { VolumeRecord } from '../volume-record.js';

/** What a record tells of where its volume lies. */
export function chosenPlace(record: VolumeRecord | undefined): Pick<FoundVolume, 'dataPool' | 'reach'> {
  const { place, parameters } = record ?? {};
  return place === undefined ? { dataPool: parameters?.dataPool } : { dataPool: place.dataPool, reach: place.reach };
}
