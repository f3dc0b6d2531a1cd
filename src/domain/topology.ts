/** A place: topology keys with their values, which all hold there (CSI spec, Topology). */
export type Segments = Readonly<Record<string, string>>;

/** From where something can be reached: from any of these places. None of them = from everywhere. */
export type Reach = readonly Segments[];

/** Where a volume or snapshot is wanted (CSI spec, TopologyRequirement). */
export interface TopologyRequirement {
  /** It must be reachable from one of these; none = no demand. */
  readonly requisite: readonly Segments[];
  /** Best first. */
  readonly preferred: readonly Segments[];
}

const maxCharacters = 63;
const namePattern = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const prefixPattern = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

/** What is wrong with a topology key, as a clause; undefined when nothing is (CSI spec, Topology). */
export function topologyKeyObjection(key: string): string | undefined {
  const [name = '', prefix, ...more] = key.split('/').reverse();
  if (more.length > 0) return 'has more than one "/"';
  if (name.length > maxCharacters || !namePattern.test(name))
    return `is no topology key: the name has 1 to ${maxCharacters} letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`;
  if (prefix === undefined || (prefix.length <= maxCharacters && prefixPattern.test(prefix))) return undefined;
  return `is no topology key: what stands before the "/" has 1 to ${maxCharacters} small letters, digits, "-" and ".", like topology.kubernetes.io`;
}

/** The same for a value. */
export function topologyValueObjection(value: string): string | undefined {
  if (value.length <= maxCharacters && namePattern.test(value)) return undefined;
  return `is no topology value: one has 1 to ${maxCharacters} letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`;
}

/** What is wrong with keys that are used side by side: CSI wants one prefix, and keys that differ by more than capitals. */
export function topologyKeysObjection(keys: readonly string[]): string | undefined {
  for (const [i, key] of keys.entries()) {
    for (const other of keys.slice(0, i)) {
      if (other !== key && sameKey(other, key)) return `topology keys "${other}" and "${key}" differ by capitals alone`;
      if (prefixOf(other) !== prefixOf(key))
        return `topology keys "${other}" and "${key}" begin differently, and CSI wants the same prefix of all of them`;
    }
  }
  return undefined;
}

/** Is a place reached from there? Who asks may be described by more keys than the place, never by fewer. */
export function isReachable(reach: Reach, from: Segments): boolean {
  return reach.length === 0 || reach.some((place) => isWithin(from, place));
}

/** Is the demand met? What is preferred is none. */
export function meets(reach: Reach, requirement: TopologyRequirement | undefined): boolean {
  const requisite = requirement?.requisite ?? [];
  return requisite.length === 0 || requisite.some((from) => isReachable(reach, from));
}

/** The first that meets the demand, those that are reached from a preferred place before others; undefined when none does. */
export function choosePlace<Place extends { readonly reach: Reach }>(
  places: readonly Place[],
  requirement: TopologyRequirement | undefined,
): Place | undefined {
  const fitting = places.filter(({ reach }) => meets(reach, requirement));
  for (const from of [...(requirement?.preferred ?? []), ...(requirement?.requisite ?? [])]) {
    const found = fitting.find(({ reach }) => isReachable(reach, from));
    if (found !== undefined) return found;
  }
  return fitting[0];
}

/**
 * A place whose keys may be written short: `zone` stands for the key among these whose part after the "/" it is.
 * @returns undefined when one of them stands for none.
 */
export function withWholeKeys(place: Segments, keys: readonly string[]): Segments | undefined {
  const whole: Record<string, string> = {};
  for (const [label, value] of Object.entries(place)) {
    const key =
      keys.find((one) => sameKey(one, label)) ??
      keys.find((one) => !label.includes('/') && sameKey(nameOf(one), label)) ??
      (label.includes('/') ? label : undefined);
    if (key === undefined) return undefined;
    whole[key] = value;
  }
  return whole;
}

/** Every key that a demand names. */
export function keysOf(places: readonly Segments[]): string[] {
  return [...new Set(places.flatMap((place) => Object.keys(place)))];
}

/** For messages: `{zone=a}, {zone=b}`. */
export function describePlaces(places: readonly Segments[]): string {
  if (places.length === 0) return 'everywhere';
  return places
    .map((place) => Object.entries(place).map(([key, value]) => `${key}=${value}`))
    .map((segments) => `{${segments.join(', ')}}`)
    .join(' or ');
}

function isWithin(from: Segments, place: Segments): boolean {
  return Object.entries(place).every(([key, value]) =>
    Object.entries(from).some(([other, there]) => sameKey(other, key) && there === value),
  );
}

/** CSI spec, Topology: keys are case-insensitive. */
function sameKey(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

function prefixOf(key: string): string {
  return key.includes('/') ? key.slice(0, key.indexOf('/')) : '';
}
