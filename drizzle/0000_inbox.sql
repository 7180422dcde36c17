CREATE TABLE `hookonce_changed_bodies` (
	`event` integer PRIMARY KEY NOT NULL,
	`received_at` integer NOT NULL,
	`headers` text NOT NULL,
	`body` blob NOT NULL
);
--> statement-breakpoint
CREATE TABLE `hookonce_deliveries` (
	`id` integer PRIMARY KEY NOT NULL,
	`received_at` integer NOT NULL,
	`headers` text NOT NULL,
	`body` blob NOT NULL
);
--> statement-breakpoint
CREATE TABLE `hookonce_events` (
	`id` integer PRIMARY KEY NOT NULL,
	`source` text NOT NULL,
	`event_id` text NOT NULL,
	`type` text NOT NULL,
	`received_at` integer NOT NULL,
	`outcome` text NOT NULL,
	`handler` text,
	`rows_changed` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	`deliveries` integer DEFAULT 1 NOT NULL,
	`last_delivery_at` integer NOT NULL,
	`changed_bodies` integer DEFAULT 0 NOT NULL,
	`delivery_id` integer,
	`body_sha256` blob
);
--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_events_source_event_id` ON `hookonce_events` (`source`,`event_id`);--> statement-breakpoint
CREATE INDEX `hookonce_events_body_sha256` ON `hookonce_events` (`source`,`body_sha256`) WHERE "hookonce_events"."body_sha256" is not null;--> statement-breakpoint
CREATE INDEX `hookonce_events_unhandled` ON `hookonce_events` (`source`,`type`) WHERE "hookonce_events"."outcome" = 'unhandled';--> statement-breakpoint
CREATE TABLE `hookonce_failures` (
	`id` integer PRIMARY KEY NOT NULL,
	`source` text NOT NULL,
	`event_id` text NOT NULL,
	`type` text NOT NULL,
	`handler` text,
	`code` text NOT NULL,
	`error` text NOT NULL,
	`stack` text,
	`attempts` integer DEFAULT 1 NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`first_headers` text NOT NULL,
	`first_body` blob NOT NULL,
	`last_headers` text NOT NULL,
	`last_body` blob NOT NULL,
	`settled_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_failures_source_event_id` ON `hookonce_failures` (`source`,`event_id`);--> statement-breakpoint
CREATE INDEX `hookonce_failures_open` ON `hookonce_failures` (`last_at`) WHERE "hookonce_failures"."settled_at" is null;--> statement-breakpoint
CREATE TABLE `hookonce_meta` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `hookonce_sources` (
	`name` text PRIMARY KEY NOT NULL,
	`provider` text NOT NULL,
	`event_id_rule` text NOT NULL,
	`retry_window_ms` integer NOT NULL
);
