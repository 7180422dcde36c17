/** A receiver of the storm. Disposing of it answers the deliveries in flight and closes its database. */
export interface Receiver extends AsyncDisposable {
  /** The URL that the provider delivers to. */
  readonly url: string;
  readonly databasePath: string;
}
