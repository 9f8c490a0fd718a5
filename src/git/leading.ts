/** This process must not write any more; whoever leads now goes on. */
export class LeadershipLost extends Error {
  constructor(cause: unknown) {
    super('this process does not lead any more', { cause });
    this.name = 'LeadershipLost';
  }
}

/** Asks before every write. @throws LeadershipLost */
export function requireLeading({ assertLeading }: { assertLeading: () => void }): void {
  try {
    assertLeading();
  } catch (error) {
    throw new LeadershipLost(error);
  }
}
