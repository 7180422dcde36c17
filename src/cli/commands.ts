import type { CommandEntry } from "./command.ts";
import { add } from "./commands/add.ts";
import { apply } from "./commands/apply.ts";
import { backup } from "./commands/backup.ts";
import { check } from "./commands/check.ts";
import { demo } from "./commands/demo.ts";
import { discard } from "./commands/discard.ts";
import { event } from "./commands/event.ts";
import { events } from "./commands/events.ts";
import { failures } from "./commands/failures.ts";
import { importEvents } from "./commands/import.ts";
import { forget } from "./commands/forget.ts";
import { init } from "./commands/init.ts";
import { listen } from "./commands/listen.ts";
import { messages } from "./commands/messages.ts";
import { pause, resume } from "./commands/pause.ts";
import { providers } from "./commands/providers.ts";
import { reload } from "./commands/reload.ts";
import { replay } from "./commands/replay.ts";
import { resend } from "./commands/resend.ts";
import { send } from "./commands/send.ts";
import { serve } from "./commands/serve.ts";
import { status } from "./commands/status.ts";
import { test } from "./commands/test.ts";
import { token } from "./commands/token.ts";
import { tryCommand } from "./commands/try.ts";
import { verify } from "./commands/verify.ts";

/** Every command, in the order of `hookonce help`. */
export const commands: readonly CommandEntry[] = [
  init,
  add,
  check,
  serve,
  demo,
  status,
  events,
  event,
  failures,
  messages,
  apply,
  replay,
  discard,
  resend,
  pause,
  resume,
  forget,
  reload,
  tryCommand,
  test,
  send,
  listen,
  verify,
  importEvents,
  token,
  backup,
  providers,
];
