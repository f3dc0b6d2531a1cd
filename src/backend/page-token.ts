import { DriverError } from '../domain/errors.js';

/** Where a page of ListVolumes ends, as text that says nothing to whoever carries it. */
export function formatPageToken(place: readonly string[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** @param parts how many strings make up a place. @throws DriverError ABORTED when it is none (CSI spec, ListVolumes Errors). */
export function parsePageToken(token: string, parts: number): string[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (Array.isArray(value) && value.length === parts && value.every((part) => typeof part === 'string')) return value;
  } catch {
    // falls through to the one answer
  }
  throw new DriverError('ABORTED', 'starting_token is not one that ListVolumes gave out: start again without it');
}
