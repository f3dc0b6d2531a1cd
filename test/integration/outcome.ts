import { type ServiceError, status } from '@grpc/grpc-js';

export interface Refusal {
  /** e.g. FAILED_PRECONDITION */
  readonly code: string;
  readonly message: string;
}

/** How an RPC that must fail did so. @throws Error when it succeeded. */
export async function refusal(work: Promise<unknown>): Promise<Refusal> {
  const outcome = await outcomeOf(work);
  if (outcome.code === 'OK') throw new Error('the RPC succeeded and was expected to fail');
  return outcome;
}

/** The status of an RPC, OK included. */
export async function outcomeOf(work: Promise<unknown>): Promise<Refusal> {
  try {
    await work;
    return { code: 'OK', message: '' };
  } catch (error) {
    const { code, details } = error as Partial<ServiceError>;
    if (code === undefined) throw error;
    return { code: status[code], message: details ?? '' };
  }
}
