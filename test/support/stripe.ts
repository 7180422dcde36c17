/** Makes a Stripe-Signature header. @param at Unix seconds */
export function stripeSignature(secret: string, body: string, at = Math.trunc(Date.now() / 1000)): string {
  const signature = new Bun.CryptoHasher("sha256", secret).update(`${at}.${body}`).digest("hex");
  return `t=${at},v1=${signature}`;
}
