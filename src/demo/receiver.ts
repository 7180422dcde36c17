/** What the storm is sent against. Disposing of it answers what is in flight and closes its database. */
export interface Receiver extends AsyncDisposable {
  /** Where the provider delivers to. */
  readonly url: string;
  readonly databasePath: string;
}
