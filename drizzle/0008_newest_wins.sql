CREATE TABLE `hookonce_positions` (
	`source` text NOT NULL,
	`rule` text NOT NULL,
	`key` text NOT NULL,
	`version` text NOT NULL,
	`event_id` text NOT NULL,
	PRIMARY KEY(`source`, `rule`, `key`)
);
--> statement-breakpoint
ALTER TABLE `hookonce_rollups` ADD `stale` integer DEFAULT 0 NOT NULL;