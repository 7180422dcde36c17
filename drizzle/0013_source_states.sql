CREATE TABLE `hookonce_source_states` (
	`name` text PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`since` integer NOT NULL,
	`until` integer,
	`reason` text,
	`stop_on_failure` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
DROP INDEX `hookonce_events_unhandled`;--> statement-breakpoint
CREATE INDEX `hookonce_events_owed` ON `hookonce_events` (`id`) WHERE "hookonce_events"."outcome" = 'unhandled' or "hookonce_events"."outcome" = 'held';--> statement-breakpoint
CREATE INDEX `hookonce_events_held` ON `hookonce_events` (`source`,`id`,`type`) WHERE "hookonce_events"."outcome" = 'held';--> statement-breakpoint
ALTER TABLE `hookonce_rollups` ADD `held` integer DEFAULT 0 NOT NULL;