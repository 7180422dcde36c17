DROP INDEX `hookonce_failures_next`;--> statement-breakpoint
CREATE INDEX `hookonce_failures_due` ON `hookonce_failures` (`source`,`next_at`) WHERE "hookonce_failures"."next_at" is not null;