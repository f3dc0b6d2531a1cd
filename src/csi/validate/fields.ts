import { DriverError } from '../../domain/errors.js';

/** CSI spec, CreateVolumeRequest.name and CreateSnapshotRequest.name: what a name must not contain. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const bannedInNames = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;
const maxNameCharacters = 128;
/** CSI spec, "Size Limits". */
const maxMapBytes = 4096;
const maxPathBytes = 4096;

export function invalid(message: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', message);
}

/** @throws DriverError INVALID_ARGUMENT naming the field. */
export function requireName(value: string): string {
  if (value === '') throw invalid('name is empty: every volume needs one');
  const characters = Array.from(value).length;
  if (characters > maxNameCharacters)
    throw invalid(`name has ${characters} characters and CSI allows ${maxNameCharacters}: shorten it`);
  if (bannedInNames.test(value))
    throw invalid(
      'name holds a control character (U+0000-U+0008, U+000B, U+000C, U+000E-U+001F or U+007F-U+009F), which CSI forbids',
    );
  if (!value.isWellFormed()) throw invalid('name is not well-formed Unicode');
  return value;
}

export function requireId(value: string): string {
  if (value === '') throw invalid('volume_id is empty: name the volume');
  return value;
}

/** An absolute path without `..`: it is used as it stands. */
export function requirePath(field: string, value: string): string {
  if (value === '') throw invalid(`${field} is empty: name an absolute path`);
  if (!value.startsWith('/')) throw invalid(`${field} "${value}" is relative: name an absolute path`);
  if (value.split('/').includes('..')) throw invalid(`${field} "${value}" climbs with "..": name the path itself`);
  if (value.includes('\0')) throw invalid(`${field} holds a zero byte`);
  if (Buffer.byteLength(value) > maxPathBytes) throw invalid(`${field} is longer than ${maxPathBytes} bytes`);
  return value.length > 1 ? value.replace(/\/+$/, '') : value;
}

/** @throws DriverError INVALID_ARGUMENT when the map passes CSI's limit. */
export function readMap(field: string, map: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  let bytes = 0;
  for (const [key, value] of map) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (bytes > maxMapBytes)
    throw invalid(`${field} holds ${bytes} bytes and CSI allows ${maxMapBytes}: shorten its values`);
  return Object.fromEntries(map);
}

/** The wire's decimal text of an int64, exactly. */
export function readInt64(text: string): bigint {
  return BigInt(text);
}
