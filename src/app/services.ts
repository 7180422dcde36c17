/** Something that runs until it is stopped. */
export interface Service {
  readonly name: string;
  /** Resolves when it has ended whatever it had begun. */
  stop(): Promise<void> | void;
}

/** The services of a process, in the order in which they were started. */
export interface Services {
  /** Starts the next one. It may use those that were started before it. */
  start<S extends Service>(start: () => S | Promise<S>): Promise<S>;
  /** Stops the last one first, each after the one before has stopped. All are stopped, even if one fails. */
  stop(): Promise<void>;
}

export function createServices(): Services {
  const running: Service[] = [];
  let stopped: Promise<void> | undefined;

  async function stopAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let service = running.pop(); service !== undefined; service = running.pop()) {
      try {
        await service.stop();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  return {
    async start(start) {
      const service = await start();
      running.push(service);
      return service;
    },
    stop: () => (stopped ??= stopAll()),
  };
}
