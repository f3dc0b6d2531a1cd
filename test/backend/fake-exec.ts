import type { Exec, ExecOptions, ExecResult } from 'mount-utils-ts';

export interface ProgramRun {
  readonly program: string;
  readonly args: readonly string[];
  readonly options: ExecOptions;
}

/** An Exec that runs nothing: records each call and answers as told; whatever is not told succeeds silently. */
export function fakeExec(answer: (run: ProgramRun) => Partial<ExecResult> | undefined = () => undefined) {
  const runs: ProgramRun[] = [];
  const exec: Exec = async (program, args, options = {}) => {
    const run = { program, args, options };
    runs.push(run);
    return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...answer(run) });
  };
  const first = (): ProgramRun => {
    const [run] = runs;
    if (run === undefined) throw new Error('no program was run');
    return run;
  };
  return { exec, runs, first };
}
