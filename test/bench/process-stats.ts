import { readFileSync } from "node:fs";

/** The kernel's USER_HZ, which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;

/** User and system time of all threads of a process, in microseconds, with a resolution of 10 ms. */
export function cpuTimeUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The process name, in parentheses, may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND;
}

/** The peak resident memory of a process, in bytes. */
export const peakMemory = (pid: number): number => statusBytes(pid, "VmHWM");

/** The resident memory of a process, in bytes. */
export const residentMemory = (pid: number): number => statusBytes(pid, "VmRSS");

function statusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
}

/** The time that all cores of the machine have spent since it started, in microseconds. */
export function machineTimeUs(): { readonly busy: number; readonly total: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map((ticks) => (Number(ticks) * 1_000_000) / TICKS_PER_SECOND);
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}
