import { HookonceError, type ErrorCode } from "../errors.ts";

/** @throws HookonceError what the API refused */
export async function answerOf<Body>(response: { ok: boolean; json(): Promise<unknown> }): Promise<Body> {
  const body = await response.json();
  if (response.ok) return body as Body;
  const { error } = body as { error: { code: ErrorCode; message: string } };
  throw new HookonceError(error.code, error.message);
}
