CREATE TABLE `hookonce_audit` (
	`id` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`action` text NOT NULL,
	`target` text NOT NULL,
	`reason` text
);
--> statement-breakpoint
CREATE TABLE `hookonce_jobs` (
	`id` text PRIMARY KEY NOT NULL,
	`action` text NOT NULL,
	`actor` text NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	`request` text NOT NULL,
	`progress` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `hookonce_jobs_started_at` ON `hookonce_jobs` (`started_at`);--> statement-breakpoint
CREATE TABLE `hookonce_rollups` (
	`span` text NOT NULL,
	`at` integer NOT NULL,
	`source` text NOT NULL,
	`last_at` integer DEFAULT 0 NOT NULL,
	`processed` integer DEFAULT 0 NOT NULL,
	`duplicate` integer DEFAULT 0 NOT NULL,
	`unhandled` integer DEFAULT 0 NOT NULL,
	`ignored` integer DEFAULT 0 NOT NULL,
	`failed` integer DEFAULT 0 NOT NULL,
	`refused` integer DEFAULT 0 NOT NULL,
	`t0` integer DEFAULT 0 NOT NULL,
	`t1` integer DEFAULT 0 NOT NULL,
	`t2` integer DEFAULT 0 NOT NULL,
	`t3` integer DEFAULT 0 NOT NULL,
	`t4` integer DEFAULT 0 NOT NULL,
	`t5` integer DEFAULT 0 NOT NULL,
	`t6` integer DEFAULT 0 NOT NULL,
	`t7` integer DEFAULT 0 NOT NULL,
	`t8` integer DEFAULT 0 NOT NULL,
	`t9` integer DEFAULT 0 NOT NULL,
	`t10` integer DEFAULT 0 NOT NULL,
	`t11` integer DEFAULT 0 NOT NULL,
	`t12` integer DEFAULT 0 NOT NULL,
	`t13` integer DEFAULT 0 NOT NULL,
	`t14` integer DEFAULT 0 NOT NULL,
	`t15` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`span`, `at`, `source`)
);
--> statement-breakpoint
CREATE TABLE `hookonce_secrets` (
	`source` text NOT NULL,
	`secret` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`source`, `secret`)
);
--> statement-breakpoint
CREATE TABLE `hookonce_tokens` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`scopes` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_tokens_hash` ON `hookonce_tokens` (`hash`);--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_tokens_name` ON `hookonce_tokens` (`name`) WHERE "hookonce_tokens"."revoked_at" is null;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `retries` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `next_at` integer;--> statement-breakpoint
CREATE INDEX `hookonce_failures_newest` ON `hookonce_failures` (`first_at`) WHERE "hookonce_failures"."settled_at" is null;--> statement-breakpoint
CREATE INDEX `hookonce_failures_next` ON `hookonce_failures` (`next_at`) WHERE "hookonce_failures"."next_at" is not null;--> statement-breakpoint
ALTER TABLE `hookonce_results` ADD `element` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_results` ADD `replays` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_results` ADD `replayed_by` text;--> statement-breakpoint
ALTER TABLE `hookonce_results` ADD `reason` text;--> statement-breakpoint
CREATE INDEX `hookonce_events_received_at` ON `hookonce_events` (`received_at`);--> statement-breakpoint
CREATE INDEX `hookonce_events_not_processed` ON `hookonce_events` (`outcome`,`received_at`) WHERE "hookonce_events"."outcome" <> 'processed';