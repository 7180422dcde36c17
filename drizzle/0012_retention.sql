CREATE TABLE `hookonce_stored_bytes` (
	`source` text PRIMARY KEY NOT NULL,
	`bytes` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `hookonce_failures_settled` ON `hookonce_failures` (`last_at`) WHERE "hookonce_failures"."settled_at" is not null and "hookonce_failures"."last_headers" <> '';--> statement-breakpoint
CREATE INDEX `hookonce_results_body` ON `hookonce_results` (`body`) WHERE "hookonce_results"."body" <> "hookonce_results"."event";