/** Types of the functions that the tests use from libraries without types. */

declare module "coinbase-commerce-node" {
  export const Webhook: {
    computeSignature(payload: string, secret: string): string;
    verifySigHeader(payload: string, signature: string, secret: string): true;
  };
}

declare module "sns-validator" {
  export default class MessageValidator {
    validate(message: string, callback: (error: Error | null) => void): void;
  }
}
