CREATE TABLE `hookonce_interrupted_runs` (
	`source` text NOT NULL,
	`event_id` text NOT NULL,
	`handler_hash` text NOT NULL,
	`ends` integer NOT NULL,
	`code` text,
	PRIMARY KEY(`source`, `event_id`)
);
--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `handler_hash` text;