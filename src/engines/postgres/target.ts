/** A database server, or several of which one is the primary. Texts of the config have been read, and secrets looked up. */
export interface PostgresTarget {
  /** For messages, without a password. */
  readonly name: string;
  /** The path beside which this node keeps its files. */
  readonly beside: string;
  readonly servers: readonly {
    /** A name, an address, or, if it begins with `/`, the folder of a Unix socket. */
    readonly host: string;
    readonly port: number;
  }[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly tls: {
    /** As libpq names them: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
    readonly mode: SslMode;
    /** PEM. Undefined: those of the system. */
    readonly rootCertificates: string | undefined;
  };
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
}

export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
