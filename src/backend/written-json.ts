import { DriverError } from '../domain/errors.js';

/**
 * What Cuttle has written down as JSON beside an object, where anybody else may have written since.
 * @param isOurs its fields are looked at by name: none is there for sure
 * @param refusal the sentence for whatever else is there
 * @throws DriverError INTERNAL with that sentence.
 */
export function parseWritten<Written extends object>(
  text: string,
  isOurs: (fields: Partial<Record<keyof Written, unknown>>) => boolean,
  refusal: string,
): Written {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DriverError('INTERNAL', refusal, { cause: error });
  }
  if (typeof value === 'object' && value !== null && isOurs(value)) return value as Written;
  throw new DriverError('INTERNAL', refusal);
}
