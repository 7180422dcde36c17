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

declare module "braintree" {
  interface Notification {
    readonly kind: string;
    readonly timestamp: Date;
  }
  export class BraintreeGateway {
    constructor(config: { environment: unknown; merchantId: string; publicKey: string; privateKey: string });
    readonly webhookNotification: {
      parse(signature: string, payload: string): Promise<Notification>;
      verify(challenge: string): string;
    };
    readonly webhookTesting: {
      sampleNotification(kind: string, id: string): Promise<{ bt_signature: string; bt_payload: string }>;
    };
  }
  export const Environment: { readonly Sandbox: unknown };
  export const WebhookNotification: { readonly Kind: Readonly<Record<string, string>> };
}
