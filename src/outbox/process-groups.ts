import { readdirSync, readFileSync } from "node:fs";

/**
 * Identifies a process for as long as the machine exists. A pid alone does not: the system uses it again, and
 * after a restart of the machine it means another process.
 */
export interface StartedProcess {
  readonly pid: number;
  /** As the system writes it; empty if it cannot be known (Windows). */
  readonly startedAt: string;
  readonly bootId: string;
}

/** How long a group has after SIGTERM before SIGKILL, in milliseconds. */
export const KILL_AFTER_MS = 5000;

/** How long to wait after SIGKILL, in milliseconds. A process that waits for a disk ends only after that. */
const GIVE_UP_AFTER_MS = 1000;

/** In milliseconds. */
const POLL_MS = 25;

/** Call it while the process is known to exist: it is a child that has not been waited for. */
export function identifyProcess(pid: number): StartedProcess {
  return { pid, startedAt: startOf(pid) ?? "", bootId: bootId() };
}

/**
 * Ends the process group of a process that another hookonce has started, if something of it still runs. Leaves a
 * later process with the same pid alone.
 *
 * @param mark an entry of the process's environment that no other process has. If the process has ended, its children
 *   are known by it (Linux only)
 * @returns whether the group has ended. It has not if it belongs to another user
 */
export async function endLeftover(
  left: StartedProcess,
  mark: string,
  killAfterMs = KILL_AFTER_MS,
): Promise<boolean> {
  const isLeft = (): boolean => isRunning(left) || hasMembers(left, mark);
  if (!isLeft()) return true;
  await endGroup(left.pid, killAfterMs);
  return !isLeft();
}

/** Whether children of an ended process are left in its group. While one is, no other group has its number. */
function hasMembers({ pid: group, startedAt, bootId: bootedAs }: StartedProcess, mark: string): boolean {
  if (process.platform !== "linux" || startedAt === "" || bootedAs !== bootId()) return false;
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    const [state, , ofGroup] = statOf(name);
    if (state === "Z" || ofGroup !== String(group)) return false;
    return readIfAny(`/proc/${name}/environ`).split("\0").includes(mark);
  });
}

function isRunning({ pid, startedAt, bootId: bootedAs }: StartedProcess): boolean {
  return startedAt !== "" && bootedAs === bootId() && startOf(pid) === startedAt;
}

/**
 * Sends SIGTERM to a process group, and SIGKILL if something of it is left after a time. Resolves when nothing
 * is left. Gives up one second after SIGKILL: in a container whose first process does not wait for orphans,
 * a group never becomes empty.
 */
export async function endGroup(group: number, killAfterMs = KILL_AFTER_MS): Promise<void> {
  const killAt = performance.now() + killAfterMs;
  // While something of the group is left, its number is not used again.
  let isLeft = signalGroup(group, "SIGTERM");
  while (isLeft && performance.now() < killAt + GIVE_UP_AFTER_MS) {
    await Bun.sleep(POLL_MS);
    isLeft = signalGroup(group, performance.now() < killAt ? 0 : "SIGKILL");
  }
}

/** @returns whether the group has processes */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  // A group below 2 would be every process of the user, or hookonce's own group.
  if (!Number.isSafeInteger(group) || group < 2) return false;
  try {
    return process.kill(-group, signal);
  } catch (error) {
    // EPERM: its processes belong to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process began, as text; undefined if it does not run. */
function startOf(pid: number): string | undefined {
  if (process.platform === "linux") return startOnLinux(pid);
  if (process.platform === "darwin") return said("ps", "-o", "lstart=", "-p", String(pid));
  return undefined;
}

function startOnLinux(pid: number): string | undefined {
  const fields = statOf(String(pid));
  // A zombie has ended. Field 22 is the start in clock ticks since the system was started.
  return fields[0] === "Z" ? undefined : fields[19];
}

/**
 * The fields from the third on: state, parent, group, …
 * https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
function statOf(pid: string): string[] {
  const stat = readIfAny(`/proc/${pid}/stat`);
  // The second field is the name in parentheses. The name may contain spaces and parentheses itself.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function bootId(): string {
  if (process.platform === "linux") return readIfAny("/proc/sys/kernel/random/boot_id").trim();
  if (process.platform === "darwin") return said("sysctl", "-n", "kern.bootsessionuuid") ?? "";
  return "";
}

function readIfAny(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What a command of the system prints; undefined if it prints nothing. `ps` writes local time otherwise. */
function said(...command: string[]): string | undefined {
  const env = { PATH: "/bin:/usr/bin:/sbin:/usr/sbin", LC_ALL: "C", TZ: "UTC" };
  return Bun.spawnSync(command, { env }).stdout.toString().trim() || undefined;
}
