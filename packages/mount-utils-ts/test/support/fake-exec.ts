import type { Exec, ExecOptions, ExecResult } from '../../src/exec.js';

export interface Call {
  program: string;
  args: readonly string[];
  options: ExecOptions | undefined;
}

export type Answer = Partial<ExecResult> | ((call: Call) => Partial<ExecResult> | Promise<Partial<ExecResult>>);

/** An exec that answers by program name (a program without an answer succeeds in silence) and records its calls. */
export function fakeExec(answers: Record<string, Answer> = {}): {
  exec: Exec;
  calls: Call[];
  programs: () => string[];
} {
  const calls: Call[] = [];
  const exec: Exec = async (program, args, options) => {
    const call = { program, args, options };
    calls.push(call);
    const answer = answers[program] ?? {};
    const given = typeof answer === 'function' ? await answer(call) : answer;
    return { exitCode: 0, stdout: '', stderr: '', ...given };
  };
  return { exec, calls, programs: () => calls.map((call) => call.program) };
}
