/** Something that runs until it is stopped. */
export interface Service {
  readonly name: string;
  /** Resolves when everything that it began has ended. */
  stop(): Promise<void> | void;
}

/** The services of a process, in the order in which they were started. */
export interface Services {
  /** Starts the next service. It may use the ones that were started before it. */
  start<S extends Service>(start: () => S | Promise<S>): Promise<S>;
  /** Stops the services one at a time, the last one first. All are stopped, even if one fails. */
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
