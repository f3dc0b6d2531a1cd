import { Parser, type FinalResults, type Result } from 'tap-parser';

export interface Skip {
  readonly title: string;
  readonly reason: string;
}

export interface Failure {
  readonly title: string;
  readonly detail: string;
}

/**
 * Test cases, not assertions: a case is a t.test() that holds no further t.test(), or an assertion outside of any.
 * An outer test that fails although all its inner ones pass is a failed case of its own.
 */
export interface TapCounts {
  passed: number;
  failed: number;
  readonly skipped: Skip[];
  readonly failures: Failure[];
}

/** Counts the test cases in what one test file wrote. Text that is no TAP counts for nothing. */
export async function readTap(text: string): Promise<TapCounts> {
  const counts: TapCounts = { passed: 0, failed: 0, skipped: [], failures: [] };
  const results = await new Promise<FinalResults>((resolve) => {
    const parser = new Parser(resolve);
    count(parser, [], counts);
    parser.end(text);
  });
  if (!results.ok && counts.failed === 0) {
    const why = results.bailout === false ? 'the plan and the tests do not agree' : `bailed out: ${results.bailout}`;
    addFailure(counts, why, results.failures.map((failure) => detailOf(failure)).join('\n'));
  }
  return counts;
}

function count(parser: Parser, path: readonly string[], counts: TapCounts): void {
  // The test point that follows an inner test is its result.
  let inner: { name: string; hadTests: boolean; failedBefore: number } | undefined;
  parser.on('child', (child: Parser) => {
    const opened = { name: child.name, hadTests: false, failedBefore: counts.failed };
    inner = opened;
    child.on('child', () => {
      opened.hadTests = true;
    });
    count(child, [...path, child.name], counts);
  });
  parser.on('assert', (result: Result) => {
    const title = [...path, result.name].join(' > ');
    const closed = inner;
    inner = undefined;
    if (reasonToSkip(result) !== undefined) {
      counts.skipped.push({ title, reason: reasonToSkip(result) ?? '' });
    } else if (!result.ok && (closed === undefined || !closed.hadTests || counts.failed === closed.failedBefore)) {
      noteFailure(counts, title, result, closed !== undefined || path.length === 0);
    } else if (result.ok && (closed === undefined ? path.length === 0 : !closed.hadTests)) {
      counts.passed += 1;
    }
  });
}

/** An assertion within a case is told about; the case itself, which follows it, is what counts. */
function noteFailure(counts: TapCounts, title: string, result: Result, isCase: boolean): void {
  if (isCase) counts.failed += 1;
  const told = counts.failures.some((failure) => failure.title.startsWith(`${title} > `));
  if (!isCase || !told) counts.failures.push({ title, detail: detailOf(result) });
}

function addFailure(counts: TapCounts, title: string, detail: string): void {
  counts.failed += 1;
  counts.failures.push({ title, detail });
}

function reasonToSkip(result: Result): string | undefined {
  if (result.skip !== false) return result.skip === true ? 'no reason given' : result.skip;
  if (result.todo !== false) return result.todo === true ? 'still to be done' : `still to be done: ${result.todo}`;
  return undefined;
}

function detailOf(result: unknown): string {
  const { diag, tapError } = result as { diag?: Record<string, unknown>; tapError?: string };
  // `details` is what a gRPC status says; an error that was thrown has its own words in `message`.
  const parts = [tapError, diag?.details, diag?.message, diag?.diff, diag?.found, diag?.stack, diag?.source];
  return parts
    .filter((part) => part !== undefined && part !== null)
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
    .join('\n')
    .trim();
}
